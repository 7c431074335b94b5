//! What people read of an ending: no sentence says of the traffic what the balancer does not hold.

use super::touched;
use super::traffic::failed_since;
use super::words::{alike, last_notice, percent};
use crate::plot::APPS;
use crate::run::{ABORTED, Scene};
use crate::world::lock;

const FLEETS: [&str; 2] = ["prod1", "prod2"];

/// Behind these the split of all routes is said, where all are alike.
const SPLITS: [&str; 5] =
    ["rolled back to ", "are back and read back: ", "restored to ", "restored, read back: ", "TRAFFIC   "];

pub(super) fn holds(scene: &Scene<'_>) -> Option<String> {
    let report = scene.report;
    if [ABORTED, "Endless", "RollBackFailed"].contains(&report.ending.as_str())
        || touched(scene, f64::INFINITY)
    {
        return None;
    }
    let output = report.said.as_str().or(report.said["summary"].as_str()).unwrap_or_default();
    let notice = last_notice(scene).unwrap_or_default();
    let read = |field: &str| notice[field].as_str().unwrap_or_default().to_owned();
    let now = percent(scene);
    [output.to_owned(), read("subject"), read("text")]
        .into_iter()
        .find_map(|text| disagrees(&text, &now).map(|what| format!("{what}, and the balancer holds {now:?}")))
        .or_else(|| figures(scene, output))
}

/// How far a share of failures may be from the truth in percent: CloudWatch shows the last minutes late, and what hung
/// is a failure that the world does not count.
fn near(said: f64, truth: f64) -> bool {
    (said - truth).abs() <= 2.0 + 0.2 * truth
}

/// The shares of failures that a success says are those of that fleet since the first change of weights.
fn figures(scene: &Scene<'_>, output: &str) -> Option<String> {
    let plot = &scene.report.plot;
    let waits = scene.cloud.worlds.iter().any(|world| {
        let troubles = &lock(world).plot.troubles;
        troubles.iter().any(|trouble| trouble.what.slow.0 > 0.0 || trouble.what.hangs > 0.0)
    });
    if plot.inputs.len() > 1 || !plot.stops.is_empty() || waits {
        return None;
    }
    let since = scene.report.changes.first()?.at;
    shares(output).into_iter().flatten().find_map(|(fleet, said)| {
        let truth = failed_since(scene, fleet, since)?;
        (!near(said, truth))
            .then(|| format!("{said} % errors are said of prod{}, and it had {truth:.2} %", fleet + 1))
    })
}

/// Which share of failures a summary says of which fleet, in percent: `0.02 % errors against 0.03 % on prod1`.
fn shares(summary: &str) -> [Option<(usize, f64)>; 2] {
    let before = |text: &str| text.rsplit([' ', '(']).next().and_then(|number| number.parse().ok());
    let fleet = |text: &str| FLEETS.iter().position(|fleet| text.starts_with(fleet));
    if let Some((one, other)) = summary.split_once(" % errors against ") {
        let on = other.split_once(" % on ").and_then(|(share, on)| Some((fleet(on)?, before(share)?)));
        let against = on.and_then(|(live, _)| Some((1 - live, before(one)?)));
        return [on, against];
    }
    let alone =
        summary.split_once(" % errors on ").and_then(|(share, on)| Some((fleet(on)?, before(share)?)));
    [alone, None]
}

/// What a text says that is not so, of what each app holds in percent.
fn disagrees(text: &str, now: &[[f64; 2]]) -> Option<String> {
    let all = |wanted: [f64; 2]| now.iter().all(|held| alike(*held, wanted));
    for (fleet, wanted) in FLEETS.into_iter().zip([[100.0, 0.0], [0.0, 100.0]]) {
        let claims = ["carries the traffic", "carries all traffic", "now carries all traffic"];
        let claims = claims.map(|claim| format!("{fleet} {claim}")).into_iter();
        let claim = claims.chain([format!("all traffic on {fleet}")]).find(|claim| text.contains(claim));
        if let Some(claim) = claim.filter(|_| !all(wanted)) {
            return Some(format!("{claim:?} is said"));
        }
    }
    if text.contains("both fleets carry half") && !all([50.0, 50.0]) {
        return Some("\"both fleets carry half\" is said".to_owned());
    }
    let after = |words: &str| text.split_once(words).map_or("", |(_, rest)| rest).to_owned();
    for words in SPLITS {
        if let Some(said) = split(&after(words)).filter(|said| !all(*said)) {
            return Some(format!("{said:?} is said behind {words:?}"));
        }
    }
    // Where they are not, each app's own.
    let read_back = after("are back and read back: ");
    APPS.iter().zip(now).find_map(|(app, held)| {
        let (_, said) = read_back.split_once(&format!("{app}: "))?;
        let said = split(said).filter(|said| !alike(*said, *held))?;
        Some(format!("{said:?} is said of {app}"))
    })
}

/// The percent of both fleets, where a text begins with them.
fn split(text: &str) -> Option<[f64; 2]> {
    let (one, rest) = text.strip_prefix("prod1 ")?.split_once(" %, prod2 ")?;
    let (two, _) = rest.split_once(" %")?;
    Some([one.parse().ok()?, two.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::{disagrees, shares};

    #[test]
    fn shares_are_read_with_their_fleet() {
        let both = shares(
            "web: prod2 now carries all traffic (5 stages, 31m, 0.02 % errors against 0.03 % on prod1)",
        );
        assert_eq!(both, [Some((0, 0.03)), Some((1, 0.02))]);
        assert_eq!(
            shares("web: prod1 is drained (1 stage, 5m, 4.00 % errors on prod2)"),
            [Some((1, 4.0)), None]
        );
    }

    #[test]
    fn what_is_not_so_is_seen() {
        let even = [[50.0, 50.0]];
        for wrong in [
            "drain rolled back, prod1 carries the traffic",
            "web: prod2 now carries all traffic (5 stages)",
            "are back and read back: prod1 100 %, prod2 0 %.",
            "TRAFFIC   prod1 0 %, prod2 100 %, read back",
            "are back and read back: web: prod1 70 %, prod2 30 %; api: prod1 50 %, prod2 50 %",
        ] {
            assert!(disagrees(wrong, &even).is_some(), "{wrong}");
        }
        let right = "both fleets carry half; are back and read back: prod1 50 %, prod2 50 %.";
        assert_eq!(disagrees(right, &even), None);
        assert!(disagrees(right, &[[50.0, 50.0], [60.0, 40.0]]).is_some());
    }
}
