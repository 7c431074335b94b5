//! What became of the users' requests.

use super::touched;
use crate::fleet::Counted;
use crate::plot::{LIVE, MINUTE, STANDBY};
use crate::run::Scene;
use crate::world::{World, lock};

/// A fleet is plainly ill that fails this much more than it usually does, over so many whole minutes with
/// at least so many requests: the time to detect is shorter.
const PLAINLY: f64 = 0.1;
const FOR_MINUTES: usize = 8;
const OF_REQUESTS: u32 = 300;

pub(super) fn success_on_an_ill_fleet(scene: &Scene<'_>) -> Option<String> {
    // A run that has found nothing to do says nothing of fleets.
    let nothing = scene.report.said["status"] == "unchanged";
    if scene.ended.is_err() || nothing || scene.is_a_persons_restore() {
        return None;
    }
    scene.cloud.worlds.iter().find_map(|world| {
        let world = lock(world);
        let failing = world.failing(scene.report.seconds, FOR_MINUTES, OF_REQUESTS);
        let ill =
            |fleet: usize| failing[fleet].is_some_and(|share| share > PLAINLY + world.fleets[fleet].base);
        // What both depend on is no reason to leave either.
        if ill(LIVE) && ill(STANDBY) || common(&world, scene.report.seconds) {
            return None;
        }
        let found = [LIVE, STANDBY].into_iter().find(|fleet| world.shares[*fleet] > 0.0 && ill(*fleet))?;
        let share = failing[found].unwrap_or_default() * 100.0;
        Some(format!("{} while prod{} fails {share:.1} % of its requests", scene.report.ending, found + 1))
    })
}

/// Which share of a fleet's requests failed in all apps, in percent, in whole minutes from a second of the run until its
/// end; nothing where too few came to tell.
pub(super) fn failed_since(scene: &Scene<'_>, fleet: usize, since: f64) -> Option<f64> {
    let mut all = Counted::default();
    for world in &scene.cloud.worlds {
        let world = lock(world);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of a day")]
        let place = |at: f64| ((world.began + at - world.first as f64) / MINUTE) as usize;
        let end = place(scene.report.seconds).min(world.minutes.len());
        let watched = world.minutes.get(place(since) + 1..end).unwrap_or_default();
        for minute in watched {
            all.add_counts(&minute[fleet]);
        }
    }
    (all.requests >= OF_REQUESTS).then(|| 100.0 * f64::from(all.failed()) / f64::from(all.requests))
}

/// Whether a trouble of this world strikes both fleets at its end.
fn common(world: &World, at: f64) -> bool {
    let strikes = |at: f64| world.plot.troubles.iter().any(|t| t.on == [true; 2] && t.felt(0, at) > 0.0);
    strikes(at) || strikes(at - 300.0)
}

/// A split is overloaded where a fleet is asked for more than it can answer, for so many seconds.
const OVERLOADED_FOR: f64 = 10.0 * MINUTE;

pub(super) fn overloaded(scene: &Scene<'_>) -> Option<String> {
    (0..scene.cloud.worlds.len()).find_map(|app| overloaded_app(scene, app))
}

fn overloaded_app(scene: &Scene<'_>, app: usize) -> Option<String> {
    let world = lock(&scene.cloud.worlds[app]);
    let changes: Vec<_> = scene.report.changes.iter().filter(|change| change.app == app).collect();
    let end = world.now - world.began;
    for (index, change) in changes.iter().enumerate() {
        let until = changes.get(index + 1).map_or(end, |next| next.at);
        // A crowd may come to it later.
        let since = world
            .plot
            .crowd
            .map_or(change.at, |(from, _)| if from < until { from.max(change.at) } else { change.at });
        if until - since < OVERLOADED_FOR || touched(scene, until) {
            continue;
        }
        let at = since + OVERLOADED_FOR;
        let crowd = world.plot.crowd.filter(|(from, _)| at >= *from).map_or(1.0, |(_, times)| times);
        let carries = [LIVE, STANDBY].map(|fleet| {
            let dead: f64 = world.plot.troubles.iter().map(|t| t.what.dead * t.felt(fleet, at)).sum();
            let fleet = &world.fleets[fleet];
            f64::from(fleet.targets) * fleet.capacity * (1.0 - dead.min(1.0))
        });
        let rate = world.plot.rate * 0.9 * crowd;
        for (fleet, other) in [(LIVE, STANDBY), (STANDBY, LIVE)] {
            let (asked, spare) = (rate * change.shares[fleet], carries[other] - rate * change.shares[other]);
            let beyond = asked - carries[fleet];
            if beyond > 0.15 * asked && spare > beyond && asked * OVERLOADED_FOR > f64::from(OF_REQUESTS) {
                return Some(format!(
                    "prod{} is asked for {asked:.1} requests a second and carries {:.1} for {:.0} min, while prod{} \
                     has room for {spare:.1}",
                    fleet + 1,
                    carries[fleet],
                    (until - since) / MINUTE,
                    other + 1
                ));
            }
        }
    }
    None
}

pub(super) fn weight_for_a_dead_fleet(scene: &Scene<'_>) -> Option<String> {
    let mut before =
        vec![scene.report.plot.found.map(|percent| f64::from(percent) / 100.0); scene.cloud.worlds.len()];
    for change in &scene.report.changes {
        let had = std::mem::replace(&mut before[change.app], change.shares);
        for (fleet, other) in [(LIVE, STANDBY), (STANDBY, LIVE)] {
            let more = change.shares[fleet] > had[fleet] + 1e-9;
            // Since the read a moment may have passed: only what the checks showed by then counts.
            if more
                && change.healthy[fleet] == 0
                && change.healthy[other] > 0
                && !touched(scene, change.at + 1.0)
            {
                return Some(format!(
                    "prod{} got {:.0} % at {:.0} s",
                    fleet + 1,
                    change.shares[fleet] * 100.0,
                    change.at
                ));
            }
        }
    }
    None
}
