//! A run as a list: what was set, what every poll concluded, how it ended.

use jiff::Timestamp;
use maud::{Markup, html};

use failover::verdict::{Verdict, words};

use crate::time::{clock, span};
use crate::{Poll, Recording, Run, Step, What, split};

/// One line of the list.
enum Entry<'a> {
    Set(&'a Step),
    Poll(&'a Poll),
}

impl Entry<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Self::Set(step) => step.at,
            Self::Poll(poll) => poll.at,
        }
    }

    fn render(&self) -> Markup {
        match self {
            Self::Set(step) => html! {
                li.set {
                    (time(step.at)) " "
                    span.what { (what(step.what)) } " "
                    p {
                        @if let Some(app) = &step.app { (app) ": " }
                        (split(&step.weights))
                    }
                }
            },
            Self::Poll(poll) => html! {
                li.poll {
                    (time(poll.at)) " "
                    span.what.(class(poll.verdict)) { (word(poll.verdict)) } " "
                    p {
                        (poll.reason)
                        @if let Some(odds) = poll.worst_odds() {
                            " " span.odds { "odds " (words::odds(odds)) }
                        }
                    }
                }
            },
        }
    }
}

/// A run with its heading, from 1.
pub fn run(number: usize, run: &Run) -> Markup {
    let sets = run.steps.iter().map(Entry::Set);
    let mut entries: Vec<Entry<'_>> = sets.chain(run.polls.iter().map(Entry::Poll)).collect();
    entries.sort_by_key(Entry::at);
    html! {
        section.run {
            h3 { (number) ". " (heading(run)) " " (ending(run)) }
            p.sentence { (run.sentence) }
            p.execution {
                (clock(run.started_at)) " UTC"
                @if let Some(ended) = run.ended_at { ", " (span(run.started_at, ended)) }
                ", " code { (run.execution) }
            }
            @if !entries.is_empty() {
                ol.entries { @for entry in &entries { (entry.render()) } }
            }
        }
    }
}

/// `shift to v3`.
pub fn heading(run: &Run) -> String {
    match &run.release {
        Some(release) => format!("{} to {release}", run.operation),
        None => run.operation.clone(),
    }
}

/// How it ended, told apart by more than its colour.
pub fn ending(run: &Run) -> Markup {
    let (class, sign) = match (run.succeeded, run.ended_at) {
        (_, None) => ("going", "M3 8h0M8 8h0M13 8h0"),
        (true, _) => ("good", "M3 8.5l3.5 3.5L13 4.5"),
        (false, _) if run.ending == "PlanRejected" => ("refused", "M3 8h10"),
        (false, _) => ("bad", "M4 4l8 8M12 4l-8 8"),
    };
    html! {
        span.ending.(class) {
            svg.sign viewBox="0 0 16 16" aria-hidden="true" { path d=(sign) {} }
            (run.ending)
        }
    }
}

/// The runs along the time axis of the charts.
pub fn strip(recording: &Recording) -> Markup {
    let axis = crate::panels::span(recording);
    html! {
        ol.strip aria-label="Runs by time" {
            @for (index, run) in recording.runs.iter().enumerate() {
                @let left = 100.0 * axis.share(run.started_at);
                @let right = 100.0 * axis.share(run.ended_at.unwrap_or(recording.until));
                li style=(format!("left:{left:.2}%;width:{:.2}%", right - left)) {
                    (index + 1) span.name { ". " (heading(run)) }
                }
            }
        }
    }
}

fn what(what: What) -> String {
    match what {
        What::Stage(number, of) => format!("stage {number} of {of}"),
        What::Recheck(number, of) => format!("recheck in stage {number} of {of}"),
        What::RollBack => "rolled back".into(),
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Advance => "good",
        Verdict::Wait | Verdict::Recheck => "going",
        Verdict::RollBack | Verdict::Halt => "bad",
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Advance => "advance",
        Verdict::Wait => "wait",
        Verdict::Recheck => "recheck",
        Verdict::RollBack => "roll back",
        Verdict::Halt => "halt",
    }
}

/// A time of day that a machine can read too.
pub fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (clock(at)) } }
}
