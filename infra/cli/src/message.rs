//! How a run ended, in four lines: what the traffic is now, whether users are harmed, why, and what to do.

use failover::model::Operation;
use failover::report::message::{End, Tag};
use failover::wire::Outcome;
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
    /// As it was: the run did not get so far as to touch it.
    Untouched,
    /// What the routes hold in words, read at a time.
    Read(Timestamp, String),
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
    let completed = ended.said.as_ref().map(|_| "Completed");
    let end = End {
        operation: about.operation,
        ending: completed.or(ended.error.as_deref()).unwrap_or(&ended.status),
        outcome: ended.outcome.as_ref(),
        plan: run.plan.as_ref(),
        moved: run.may_have_written,
        figures: run.poll.as_ref().map(|poll| &poll.figures),
    };
    let (app, verb) = (about.app, about.operation.map_or("run", Operation::word));
    let summary = ended.said.as_ref().map(|said| said.summary.clone());
    let (exit, subject) = match end.tag() {
        Tag::Ok => (Exit::Done, summary.clone().unwrap_or_default()),
        Tag::ActNow => (Exit::ActNow, format!("{app}: the {verb} ended in {}", end.ending)),
        Tag::RolledBack => (Exit::NotDone, format!("{app}: the {verb} went back by itself")),
        Tag::Ticket => (Exit::NotDone, format!("{app}: the {verb} ended in {}", end.ending)),
        Tag::Refused => (Exit::NotDone, format!("{app}: the {verb} did not begin, nothing was touched")),
        Tag::Stopped => (Exit::NotDone, format!("{app}: the {verb} was interrupted ({})", ended.status)),
    };
    let why = summary.or(ended.cause.clone()).or(ended.error.clone());
    let why = why.unwrap_or_else(|| format!("Step Functions says {}", ended.status));
    let steps = end.steps(&|word| format!("failover {word} {app}{}", about.options));
    let tag = end.tag().word();
    let traffic = traffic_in_words(traffic);
    (Message { tag, subject, traffic, users: end.users(), why, r#do: steps }, exit)
}

/// What the weights are, and how that is known.
pub fn traffic_in_words(traffic: &Traffic) -> String {
    match traffic {
        Traffic::Unread(why) => format!("not known: the balancer could not be read ({why})"),
        Traffic::Untouched => "as it was: the run did not get so far as to touch it".into(),
        Traffic::Read(at, words) => {
            format!("{words} (read from the balancer at {} UTC)", at.strftime("%H:%M:%S"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{entered, run};

    const ABOUT: About<'_> = About { app: "web", operation: Some(Operation::Shift), options: " --stack dev" };

    fn read(prod2: u8) -> Traffic {
        let words = format!("prod1 {} %, prod2 {prod2} %", 100 - prod2);
        Traffic::Read(Timestamp::UNIX_EPOCH, words)
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
            ("ExternalChange", "ACT NOW", Exit::ActNow),
            ("Halted", "ACT NOW", Exit::ActNow),
            ("RolesNotRecorded", "TICKET", Exit::NotDone),
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
        assert_eq!(failover::model::RunEnding::ALL.len(), 7);
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
    fn a_first_write_that_failed_may_have_moved_users() {
        let mut run = Run { plan: run().plan, ..Run::default() };
        for state in ["SetWeights", "RollBack"] {
            run.see(&entered(state)).unwrap();
        }
        let (message, _) = ended(ABOUT, &run, &failed("RollBackFailed"), &Traffic::Unread("denied".into()));
        assert!(message.users.starts_with("perhaps"), "{}", message.users);
    }

    #[test]
    fn what_was_not_read_is_not_claimed() {
        let (message, _) = ended(ABOUT, &run(), &failed("RollBackFailed"), &Traffic::Unread("denied".into()));
        assert!(message.traffic.starts_with("not known") && message.traffic.contains("denied"));
        assert!(message.users.starts_with("perhaps"), "{}", message.users);
        let (message, _) = ended(ABOUT, &Run::default(), &failed("PlanRejected"), &Traffic::Untouched);
        assert!(message.users.starts_with("not touched"), "{}", message.users);
    }
}
