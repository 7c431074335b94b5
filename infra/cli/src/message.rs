//! How a run ended, in four lines: what the traffic is now, whether users are harmed, why, and what to do.

use failover::model::Operation;
use failover::model::error::pages;
use failover::model::samples::FleetFigures;
use failover::model::weights::split;
use failover::model::{Plan, Weights};
use failover::verdict::words::{number, percent};
use failover::wire::{Outcome, Status};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Exit;
use crate::run::Run;

/// How an execution ended, as Step Functions says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ended {
    /// Such as `SUCCEEDED`.
    pub status: String,
    /// The name of the error of one that failed.
    pub error: Option<String>,
    /// Its cause.
    pub cause: Option<String>,
    /// The output of one that succeeded.
    pub outcome: Option<Outcome>,
    /// What every output says, also that of one which could not begin and is let off.
    pub said: Option<Said>,
}

/// What every output says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Said {
    /// The status.
    pub status: String,
    /// The summary.
    pub summary: String,
}

/// What the balancer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Traffic {
    /// The weights of every app by its name, read at a time.
    Read(Timestamp, Vec<(String, Weights)>),
    /// Why they could not be read.
    Unread(String),
}

/// Four lines for people, and a word in front of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// How urgent it is: `OK`, `ROLLED BACK`, `REFUSED`, `STOPPED` or `ACT NOW`.
    pub tag: &'static str,
    /// What is told.
    pub subject: String,
    /// What the traffic is now.
    pub traffic: String,
    /// Whether users are harmed.
    pub users: String,
    /// Why it ended so.
    pub why: String,
    /// What to do, a step to a line.
    pub r#do: Vec<String>,
}

/// What ended: its apps as they were typed, what it was to do, and the options that commands about it need.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The apps, with commas.
    pub app: &'a str,
    /// What it was to do, where that can be told.
    pub operation: Option<Operation>,
    /// Such as ` --stack dev`; nothing for the default.
    pub options: &'a str,
}

/// Puts the end of a run into words, and says how the command ends.
pub fn ended(about: About<'_>, run: &Run, ended: &Ended, traffic: &Traffic) -> (Message, Exit) {
    let plan = run.plan.as_ref();
    let verb = about.operation.map_or("run", Operation::word);
    let command = |word: &str| format!("failover {word} {}{}", about.app, about.options);
    let (exit, tag, subject, steps) = match (&ended.outcome, ended.error.as_deref()) {
        (Some(outcome), _) => (Exit::Done, "OK", outcome.summary.clone(), next(outcome, &command)),
        (None, None) if ended.said.is_some() => {
            let summary = ended.said.as_ref().map(|said| said.summary.clone()).unwrap_or_default();
            (Exit::Done, "OK", summary, vec!["Nothing.".to_owned()])
        }
        (None, Some(error)) if pages(about.operation, error) => (
            Exit::ActNow,
            "ACT NOW",
            format!("{}: the {verb} ended in {error}", about.app),
            act(error, plan, &command),
        ),
        (None, Some("RolledBack")) => (
            Exit::NotDone,
            "ROLLED BACK",
            format!("{}: the {verb} went back by itself", about.app),
            vec![format!("Look into {}, repair it, then: {}", standby(plan), command(verb))],
        ),
        (None, Some("PlanRejected")) => (
            Exit::NotDone,
            "REFUSED",
            format!("{}: the {verb} did not begin, nothing was touched", about.app),
            vec!["Follow WHY, then ask again.".to_owned()],
        ),
        _ => (
            Exit::NotDone,
            "STOPPED",
            format!("{}: the {verb} was interrupted ({})", about.app, ended.status),
            vec![format!(
                "Nothing: a restore starts by itself within a minute. See it: {}",
                command("watch")
            )],
        ),
    };
    let why = ended.said.as_ref().map(|said| said.summary.clone()).or(ended.cause.clone());
    let why = why.or(ended.error.clone()).unwrap_or_else(|| format!("Step Functions says {}", ended.status));
    let users = users(run, ended);
    (Message { tag, subject, traffic: traffic_in_words(traffic), users, why, r#do: steps }, exit)
}

/// What the weights are, and how that is known.
pub fn traffic_in_words(traffic: &Traffic) -> String {
    match traffic {
        Traffic::Unread(why) => format!("not known: the balancer could not be read ({why})"),
        Traffic::Read(_, apps) if apps.is_empty() => {
            "as it was: the run did not get so far as to touch it".into()
        }
        Traffic::Read(at, apps) => {
            let alike = apps.iter().all(|(_, weights)| *weights == apps[0].1);
            let words = if alike {
                split(&apps[0].1)
            } else {
                apps.iter()
                    .map(|(app, weights)| format!("{app} {}", split(weights)))
                    .collect::<Vec<_>>()
                    .join("; ")
            };
            format!("{words} (read from the balancer at {} UTC)", at.strftime("%H:%M:%S"))
        }
    }
}

fn standby(plan: Option<&Plan>) -> String {
    match plan {
        Some(Plan { standby, release: Some(release), .. }) => format!("{release} on {standby}"),
        Some(Plan { standby, .. }) => standby.clone(),
        None => "the standby".into(),
    }
}

fn next(outcome: &Outcome, command: &dyn Fn(&str) -> String) -> Vec<String> {
    let standby = &outcome.standby;
    match outcome.status {
        Status::Drained => {
            let group = outcome.standby_target_group.as_deref().and_then(|arn| arn.split('/').nth(1));
            let group = group.map(|group| format!(" (target group {group})")).unwrap_or_default();
            vec![format!("Deploy to {standby}{group}, then: {}", command("shift"))]
        }
        Status::Shifted => vec![
            format!("Deploy the same release to {standby}, then: {}", command("balance")),
            format!("Should a fault show now: {}", command("failback")),
        ],
        Status::FailedBack => vec![format!("Repair {standby}, then: {}", command("shift"))],
        Status::Planned => vec![format!("To begin: {}", command(outcome.operation.word()))],
        Status::Balanced | Status::Restored | Status::Unchanged => vec!["Nothing.".into()],
    }
}

fn act(error: &str, plan: Option<&Plan>, command: &dyn Fn(&str) -> String) -> Vec<String> {
    match error {
        "FailedOver" => vec![
            "Look after the fleet that has no healthy targets; the other one carries everything.".into(),
            format!("Once it is well: {}", command("status")),
        ],
        "Overtaken" => vec![
            "See who changed the rules or the weights (CloudTrail knows).".into(),
            format!("To bring the routes together again: {}", command("drain")),
        ],
        "RolledBack" => vec![
            "The traffic is where it was before: on the fleet whose fault this was for. Look after both."
                .into(),
            format!("Once the other one is well: {}", command("failback")),
        ],
        "Halted" => vec![
            format!("To go back to what the run had found: {}", command("restore")),
            format!("To give {} everything: {}", standby(plan), command("shift")),
        ],
        "SwapFailed" => vec![
            "The traffic is fine. Let the functions tag the routes again, as WHY says.".into(),
            format!("Then: {}", command("drain")),
        ],
        _ => vec![
            format!("To try again: {}", command("restore")),
            "Or run the commands in WHY: they put back exactly what was found.".into(),
        ],
    }
}

/// Whether users are harmed, by what the last poll had measured of the whole run.
fn users(run: &Run, ended: &Ended) -> String {
    let Some(plan) = &run.plan else { return "not touched by this: no weight was changed".into() };
    if ended.error.as_deref() == Some("PlanRejected") || run.weights().is_none() && run.rolled_back.is_none()
    {
        return "not touched by this: no weight was changed".into();
    }
    let Some(poll) = &run.poll else { return "not known: nothing was measured yet".into() };
    let sum = |of: fn(&failover::model::samples::Figures) -> FleetFigures| {
        FleetFigures::sum(poll.figures.values().map(of))
    };
    let (live, standby) = (sum(|figures| figures.run_live), sum(|figures| figures.run_standby));
    let figures = format!("{} on {}, {} on {}", share(standby), plan.standby, share(live), plan.live);
    let harmed = match ended.error.as_deref() {
        None if ended.outcome.is_some() => "not harmed by it",
        Some("RolledBack") => "not any more",
        Some("SwapFailed") => "not harmed by it",
        Some("FailedOver") => "not any more, as far as one fleet bears it",
        _ => "perhaps, until somebody looks",
    };
    format!("{harmed}; failed during the run: {figures}")
}

/// Such as `0.9 % (4 of 430)`.
pub fn share(figures: FleetFigures) -> String {
    if figures.requests == 0 {
        return "no requests".into();
    }
    let (failures, requests) = (figures.failures as f64, figures.requests as f64);
    format!("{} ({} of {})", percent(failures / requests), number(failures), number(requests))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::tests::run;

    const ABOUT: About<'_> = About { app: "web", operation: Some(Operation::Shift), options: " --stack dev" };

    fn read(prod2: u8) -> Traffic {
        let weights = serde_json::from_value(json!({ "prod1": 100 - prod2, "prod2": prod2 })).unwrap();
        Traffic::Read(Timestamp::UNIX_EPOCH, vec![("web".into(), weights)])
    }

    fn failed(error: &str) -> Ended {
        Ended {
            status: "FAILED".into(),
            error: Some(error.into()),
            cause: Some("prod2 failed".into()),
            ..Ended::default()
        }
    }

    #[test]
    fn every_ending_says_what_to_do_and_how_urgent_it_is() {
        for (error, tag, exit) in [
            ("PlanRejected", "REFUSED", Exit::NotDone),
            ("RolledBack", "ROLLED BACK", Exit::NotDone),
            ("FailedOver", "ACT NOW", Exit::ActNow),
            ("Overtaken", "ACT NOW", Exit::ActNow),
            ("Halted", "ACT NOW", Exit::ActNow),
            ("SwapFailed", "ACT NOW", Exit::ActNow),
            ("RollBackFailed", "ACT NOW", Exit::ActNow),
            ("States.Runtime", "STOPPED", Exit::NotDone),
        ] {
            let (message, found) = ended(ABOUT, &run(), &failed(error), &read(0));
            assert_eq!((message.tag, found), (tag, exit), "{error}");
            assert!(!message.r#do.is_empty() && message.why == "prod2 failed", "{message:?}");
        }
        let failback = About { operation: Some(Operation::Failback), ..ABOUT };
        let (message, exit) = ended(failback, &run(), &failed("RolledBack"), &read(0));
        assert_eq!(
            (message.tag, exit),
            ("ACT NOW", Exit::ActNow),
            "the fault that it was for is still there"
        );
        // A new ending has to be put into words here.
        assert_eq!(failover::model::error::ENDINGS.len(), 7);
    }

    #[test]
    fn a_run_that_is_let_off_is_no_interruption() {
        let said = Said { status: "unchanged".into(), summary: "web: another run is going on".into() };
        let let_off = Ended { status: "SUCCEEDED".into(), said: Some(said), ..Ended::default() };
        let (message, exit) = ended(ABOUT, &Run::default(), &let_off, &Traffic::Unread("denied".into()));
        assert_eq!(
            (message.tag, exit, message.why.as_str()),
            ("OK", Exit::Done, "web: another run is going on")
        );
    }

    #[test]
    fn a_rollback_says_where_the_traffic_is_and_who_was_hit() {
        let (message, _) = ended(ABOUT, &run(), &failed("RolledBack"), &read(0));
        assert_eq!(message.traffic, "prod1 100 %, prod2 0 % (read from the balancer at 00:00:00 UTC)");
        assert_eq!(
            message.users,
            "not any more; failed during the run: 0.93 % (4 of 430) on prod2, 0.076 % (1 of 1,308) on prod1"
        );
        assert_eq!(message.r#do, ["Look into v42 on prod2, repair it, then: failover shift web --stack dev"]);
    }

    #[test]
    fn what_was_not_read_is_not_claimed() {
        let (message, _) = ended(ABOUT, &run(), &failed("RollBackFailed"), &Traffic::Unread("denied".into()));
        assert!(message.traffic.starts_with("not known") && message.traffic.contains("denied"));
        assert!(message.users.starts_with("perhaps"), "{}", message.users);
        let (message, _) = ended(
            ABOUT,
            &Run::default(),
            &failed("PlanRejected"),
            &Traffic::Read(Timestamp::UNIX_EPOCH, vec![]),
        );
        assert!(message.users.starts_with("not touched"), "{}", message.users);
    }
}
