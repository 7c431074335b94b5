//! The end of a run in four lines that are the same wherever it is told: what the traffic is now, whether
//! users are harmed, why, and what to do. Here is what does not depend on where that is.

use std::collections::BTreeMap;

use crate::model::samples::{Figures, FleetFigures};
use crate::model::{Operation, Plan, RunEnding};
use crate::verdict::words::{number, percent};
use crate::wire::{Outcome, Status};

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It is done.
    Ok,
    /// It went back by itself.
    RolledBack,
    /// It did not begin.
    Refused,
    /// The traffic is fine, and somebody must repair something in working hours.
    Ticket,
    /// Somebody or something interrupted it.
    Stopped,
    /// Somebody must look at it now: it does not mend itself.
    ActNow,
}

impl Tag {
    /// As a subject begins.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::RolledBack => "ROLLED BACK",
            Self::Refused => "REFUSED",
            Self::Ticket => "TICKET",
            Self::Stopped => "STOPPED",
            Self::ActNow => "ACT NOW",
        }
    }
}

/// What is known of the end of a run.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// What it was to do, where that can be told.
    pub operation: Option<Operation>,
    /// `Completed`, or the name of the error, or how Step Functions says that it was interrupted.
    pub ending: &'a str,
    /// The output of a success.
    pub outcome: Option<&'a Outcome>,
    /// The plan, if there was one.
    pub plan: Option<&'a Plan>,
    /// Whether a weight was changed.
    pub moved: bool,
    /// What the last poll had measured, by app.
    pub figures: Option<&'a BTreeMap<String, Figures>>,
}

impl End<'_> {
    /// How urgent it is.
    pub fn tag(&self) -> Tag {
        match RunEnding::of(self.ending) {
            None if self.ending == "Completed" => Tag::Ok,
            None => Tag::Stopped,
            Some(ending) if ending.pages(self.operation) => Tag::ActNow,
            Some(RunEnding::PlanRejected) => Tag::Refused,
            Some(RunEnding::RolesNotRecorded) => Tag::Ticket,
            Some(_) => Tag::RolledBack,
        }
    }

    /// Whether users are harmed, by what the last poll had measured of the whole run.
    pub fn users(&self) -> String {
        let Some(plan) = self.plan.filter(|_| self.moved && self.ending != "PlanRejected") else {
            return "not touched by this: no weight was changed".into();
        };
        let harmed = match (self.ending, self.tag()) {
            (_, Tag::Ok | Tag::Ticket) => "not harmed by it",
            ("RolledBack", Tag::RolledBack) => "not any more",
            ("FailedOver", _) => "not any more, as far as one fleet bears it",
            _ => "perhaps, until somebody looks",
        };
        let Some(figures) = self.figures else { return format!("{harmed}; nothing was measured") };
        let sum = |of: fn(&Figures) -> FleetFigures| share(FleetFigures::sum(figures.values().map(of)));
        let (live, standby) = (sum(|figures| figures.run_live), sum(|figures| figures.run_standby));
        format!("{harmed}; failed during the run: {standby} on {}, {live} on {}", plan.standby, plan.live)
    }

    /// What to do, a step to a line. `command` makes a command of a word, such as `failover shift web`.
    pub fn steps(&self, command: &dyn Fn(&str) -> String) -> Vec<String> {
        match (self.outcome, self.tag()) {
            (Some(outcome), Tag::Ok) => next(outcome, command),
            (None, Tag::Ok) => vec!["Nothing.".into()],
            (_, Tag::ActNow) => self.act(command),
            (_, Tag::RolledBack) => {
                let again = command(self.operation.map_or("shift", Operation::word));
                vec![format!("Look into {}, repair it, then: {again}", self.standby())]
            }
            (_, Tag::Refused) => vec!["Follow WHY, then ask again.".into()],
            (_, Tag::Ticket) => vec![
                "The traffic is fine. Let the functions tag target groups again, as WHY says.".into(),
                format!("Then: {}", command("drain")),
            ],
            (_, Tag::Stopped) => vec![format!(
                "Nothing: a restore starts by itself within a minute. See it: {}",
                command("watch")
            )],
        }
    }

    fn standby(&self) -> String {
        match self.plan {
            Some(Plan { standby, release: Some(release), .. }) => format!("{release} on {standby}"),
            Some(Plan { standby, .. }) => standby.clone(),
            None => "the standby".into(),
        }
    }

    fn act(&self, command: &dyn Fn(&str) -> String) -> Vec<String> {
        match self.ending {
            "FailedOver" => vec![
                "Look after the fleet that has no healthy targets; the other one carries what it can.".into(),
                format!("Once it is healthy: {}", command("status")),
            ],
            "ExternalChange" => vec![
                "See who changed the rules or the weights (CloudTrail knows).".into(),
                format!("To bring the routes together again: {}", command("drain")),
            ],
            "RolledBack" => vec![
                "The traffic is where it was before: on the fleet whose fault this was for. Look after both."
                    .into(),
                format!("Once the other one is healthy: {}", command("failback")),
            ],
            "Halted" => vec![
                format!("To go back to what the run had found: {}", command("restore")),
                format!("To give {} everything: {}", self.standby(), command("shift")),
            ],
            _ => vec![
                format!("To try again: {}", command("restore")),
                "Or run the commands in WHY: they put back exactly what was found.".into(),
            ],
        }
    }
}

fn next(outcome: &Outcome, command: &dyn Fn(&str) -> String) -> Vec<String> {
    let standby = &outcome.standby;
    match outcome.status {
        Status::Drained => {
            let group = outcome.standby_target_group.as_deref().and_then(|arn| arn.split('/').nth(1));
            let group = group.map(|group| format!(" (target group {group})")).unwrap_or_default();
            vec![
                format!("Deploy to {standby}{group}, then: {}", command("shift")),
                format!(
                    "{standby} gets no new request; WebSockets and long requests on it end by themselves."
                ),
            ]
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

/// Such as `0.9 % (4 of 430)`.
pub fn share(figures: FleetFigures) -> String {
    if figures.requests == 0 {
        return "no requests".into();
    }
    let (failures, requests) = (figures.failures as f64, figures.requests as f64);
    format!("{} ({} of {})", percent(failures / requests), number(failures), number(requests))
}
