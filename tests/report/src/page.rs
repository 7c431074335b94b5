//! The page: one file that needs no network and no script.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::panels::{marks, panels, span, thinned};
use crate::time::{clock, day, span as duration};
use crate::{App, Recording, Sample, list};

const STYLE: &str = include_str!("style.css");

/// Whatever slips into a page from a log: it loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Draws the page.
pub fn render(recording: &Recording) -> String {
    let (axis, marks) = (span(recording), marks(recording));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (recording.title) ", " (day(recording.from)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (recording.title) }
                    p {
                        (day(recording.from)) ", " (clock(recording.from)) " to " (clock(recording.until)) " UTC ("
                        (duration(recording.from, recording.until)) ")"
                    }
                }
                main {
                    (figures(recording))
                    section aria-labelledby="over-time" {
                        h2 #over-time { "Over time" }
                        div #panels {
                            (list::strip(recording))
                            @for app in &recording.apps {
                                @for chart in panels(recording, app) { (chart.render(axis, &marks)) }
                            }
                        }
                        (signs(recording))
                        @for app in &recording.apps { (numbers(recording, app)) }
                    }
                    (events(recording))
                    section aria-labelledby="runs" {
                        h2 #runs { "Runs" }
                        @for (index, run) in recording.runs.iter().enumerate() { (list::run(index + 1, run)) }
                    }
                    (notices(recording))
                }
                footer { p { "All times are UTC. Drawn by Failover deployments from what was recorded." } }
            }
        }
    };
    page.into_string()
}

fn figures(recording: &Recording) -> Markup {
    html! {
        section aria-labelledby="figures" {
            h2 #figures { "In short" }
            ol.outcomes {
                @for (index, run) in recording.runs.iter().enumerate() {
                    li { span { (index + 1) ". " (list::heading(run)) } " " (list::ending(run)) }
                }
            }
            dl.figures {
                @for figure in &recording.figures { div { dt { (figure.label) } dd { (figure.value) } } }
            }
        }
    }
}

/// What the signs in the charts mean, where there are any.
fn signs(recording: &Recording) -> Markup {
    let marks = marks(recording);
    html! {
        p.signs {
            @if !marks.faults.is_empty() {
                span.key.fault aria-hidden="true" {} "a fleet is made to fail "
            }
            @if !marks.rollbacks.is_empty() {
                span.key.rollback aria-hidden="true" {} "rolled back "
            }
        }
    }
}

fn events(recording: &Recording) -> Markup {
    html! {
        @if !recording.events.is_empty() {
            section aria-labelledby="events" {
                h2 #events { "What was done to the fleets" }
                ol.entries {
                    @for event in &recording.events {
                        li {
                            (list::time(event.at)) " "
                            span.what.bad[event.fault] { @if event.fault { "fault" } @else { "done" } } " "
                            p {
                                (event.text)
                                @if let Some(until) = event.until { ", until " (clock(until)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn notices(recording: &Recording) -> Markup {
    html! {
        @if !recording.notices.is_empty() {
            section aria-labelledby="notices" {
                h2 #notices { "Notices as sent" }
                @for notice in &recording.notices {
                    article.notice {
                        h3 { (list::time(notice.at)) " " (notice.subject) }
                        pre { (notice.text) }
                    }
                }
            }
        }
    }
}

/// The numbers behind the charts, for whoever cannot see them.
fn numbers(recording: &Recording, app: &App) -> Markup {
    let [first, second] = thinned(recording, app);
    let behind = match &recording.apps[..] {
        [_] => "The numbers behind the charts".to_owned(),
        _ => format!("The numbers behind the charts of {}", app.name),
    };
    let cells = |sample: &Sample| {
        html! {
            td { (sample.requests) } td { (sample.failures) } td { (sample.slow) }
            td { @if let Some(seconds) = sample.usual_seconds { (format!("{seconds:.3}")) } }
            td { @if let Some(healthy) = sample.healthy { (healthy) } }
        }
    };
    html! {
        details {
            summary { (behind) }
            div.scroll tabindex="0" role="region" aria-label=(behind) {
                table {
                    thead {
                        tr {
                            th rowspan="2" scope="col" { "Time" }
                            @for fleet in &recording.fleets { th colspan="5" scope="colgroup" { (fleet) } }
                        }
                        tr {
                            @for _ in &recording.fleets {
                                @for column in ["requests", "failed", "slow", "p95, s", "healthy"] {
                                    th scope="col" { (column) }
                                }
                            }
                        }
                    }
                    tbody {
                        @for (first, second) in first.iter().zip(&second) {
                            tr { th scope="row" { (clock(first.at)) } (cells(first)) (cells(second)) }
                        }
                    }
                }
            }
        }
    }
}
