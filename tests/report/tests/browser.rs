//! The page in a real browser: what it says and draws is what was recorded, for everybody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use failover::model::Weights;
use failover::model::samples::{Figures, Odds};
use failover::model::weights::Percent;
use failover::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};
use report::{App, Event, Figure, Notice, Poll, Recording, Run, Sample, Step, What, page, panels};
use serde::Deserialize;

/// What the browser saw.
#[derive(Debug, Deserialize)]
struct Seen {
    complaints: Vec<String>,
    violations: Vec<String>,
    overflows: Vec<String>,
    charts: BTreeMap<String, Chart>,
    text: String,
    images: Vec<Image>,
}

#[derive(Debug, Deserialize)]
struct Chart {
    width: f64,
    height: f64,
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    inside: bool,
}

#[derive(Debug, Deserialize)]
struct Image {
    name: String,
    description: String,
}

/// Opens a page in the browser that `make tools` installs.
fn look(recording: &Recording) -> Seen {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let node: PathBuf = root.join(".tools/venv/bin/node");
    assert!(node.exists(), "there is no browser to look with; `make tools` installs one");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, page::render(recording)).unwrap();
    let output =
        Command::new(node).arg(root.join("tests/tools/browser.mjs")).arg("look").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn at(second: i64) -> Timestamp {
    "2026-11-23T14:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn weights(first: u8) -> Weights {
    let first = Percent::new(first).unwrap();
    [("prod1".to_owned(), first), ("prod2".to_owned(), first.rest())].into()
}

fn poll(second: i64, verdict: Verdict, odds: f64, reason: &str) -> Poll {
    let odds = Odds { total: odds, metrics: Vec::new(), careful: false };
    Poll {
        at: at(second),
        verdict,
        reason: reason.into(),
        figures: [("web".to_owned(), Figures { odds: Some(odds), ..Figures::default() })].into(),
    }
}

/// A minute of a shift that is rolled back, with numbers that differ from second to second.
fn recording() -> Recording {
    let sample = |second: i64, requests: u64, failures: u64| Sample {
        at: at(second),
        requests,
        failures,
        slow: requests / 10,
        usual_seconds: (requests > 0).then_some(0.02 + second as f64 / 1000.0),
        healthy: Some(2),
    };
    let first = (0..60).map(|s| sample(s, 100 + u64::try_from(s).unwrap(), 0)).collect();
    let second = (0..60).map(|s| if (20..40).contains(&s) { sample(s, 20, 4) } else { sample(s, 0, 0) });
    let step = |second, first, what| Step { at: at(second), weights: weights(first), app: None, what };
    Recording {
        title: "Rehearsal <of> a test".into(),
        fleets: ["prod1".into(), "prod2".into()],
        from: at(0),
        until: at(60),
        period_seconds: 1,
        runs: vec![Run {
            execution: "arn:aws:states:eu-central-1:1:execution:failover:web-1".into(),
            operation: "shift".into(),
            release: Some("v3".into()),
            started_at: at(15),
            ended_at: Some(at(45)),
            before: [("web".to_owned(), weights(100))].into(),
            steps: vec![step(20, 80, What::Stage(1, 2)), step(40, 100, What::RollBack)],
            polls: vec![
                poll(30, Verdict::Wait, 1.5, "odds 1.5 to 1 against prod2, which may well be chance"),
                poll(39, Verdict::RollBack, 105.0, "odds 105 to 1 against prod2"),
            ],
            odds_needed: Some(20.0),
            ending: "RolledBack".into(),
            succeeded: false,
            sentence: "web: shift rolled back. The weights found at the start are back.".into(),
        }],
        apps: vec![App { name: "web".into(), samples: [first, second.collect()] }],
        events: vec![
            Event { at: at(10), until: None, fault: false, text: "v3 to prod2".into() },
            Event {
                at: at(11),
                until: Some(at(50)),
                fault: true,
                text: "prod2: 20 % of its requests fail".into(),
            },
        ],
        notices: vec![Notice {
            at: at(44),
            subject: "web: rolled back".into(),
            text: "prod2 failed\nlook".into(),
        }],
        figures: vec![Figure::new("requests sent", "8,170")],
    }
}

/// Whether a drawn value is the recorded one, as far as a hundredth of the chart's units goes.
fn close(drawn: f64, recorded: f64, top: f64) -> bool {
    (drawn - recorded).abs() <= top * 2e-4
}

#[test]
fn the_charts_hold_the_numbers_of_the_run() {
    let recording = recording();
    let seen = look(&recording);
    assert_eq!(seen.complaints, [""; 0], "the console is silent and nothing is asked of a network");
    for (id, chart) in &seen.charts {
        assert!(chart.width > 300.0 && chart.height > 50.0, "{id} is too small to see");
        assert!(chart.series.iter().all(|series| series.inside), "{id} leaves its frame");
    }
    let series = |chart: &str, name: &str| {
        let found = seen.charts[chart].series.iter().find(|series| series.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {chart}")).points.clone()
    };
    let requests = series("requests", "prod1");
    assert_eq!(requests.len(), 60);
    for ((share, value), sample) in requests.iter().zip(&recording.apps[0].samples[0]) {
        assert!(close(*value, sample.requests as f64, 200.0), "{value} instead of {}", sample.requests);
        assert!(close(*share, (sample.at.duration_since(at(0)).as_secs_f64() + 0.5) / 60.0, 1.0));
    }
    let failures: Vec<f64> = series("failures", "prod2").into_iter().map(|(_, value)| value).collect();
    assert!(failures.len() == 20 && failures.iter().all(|f| close(*f, 20.0, 25.0)), "{failures:?}");
    let slow = series("slow", "prod1");
    assert!(close(slow[9].1, 100.0 * 10.0 / 109.0, 10.0), "{slow:?}");
    assert!(close(series("time", "prod1")[40].1, 0.06, 0.1));
    assert!(series("targets", "prod2").iter().all(|(_, healthy)| close(*healthy, 2.0, 2.0)));
    let odds: Vec<f64> = series("odds", "odds").into_iter().map(|(_, odds)| odds).collect();
    assert!(odds.len() == 2 && (odds[0] - 1.5).abs() < 0.01 && (odds[1] - 105.0).abs() < 0.5, "{odds:?}");
    // The weights, with an edge for each change: found at the start, set, put back.
    let weights: Vec<f64> = series("weights", "prod1").into_iter().map(|(_, percent)| percent).collect();
    assert_eq!(weights, [100.0, 100.0, 100.0, 100.0, 80.0, 80.0, 100.0, 100.0, 100.0]);
    let measured = series("weights", "measured");
    assert!(close(measured[25].1, 100.0 * 125.0 / 145.0, 100.0), "{measured:?}");
}

#[test]
fn everything_recorded_is_said_and_everybody_can_read_it() {
    let recording = recording();
    let seen = look(&recording);
    assert_eq!(seen.violations, [""; 0], "accessible, light and dark, on a desk and on a phone");
    assert_eq!(seen.overflows, [""; 0], "nothing is wider than a phone");
    let names: Vec<&str> = seen.images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, panels::TITLES, "every chart has a name for screen readers");
    assert!(seen.images.iter().all(|image| image.description.len() > 20), "{:?}", seen.images);
    let run = &recording.runs[0];
    for expected in [
        "Rehearsal <of> a test",
        "23 November 2026, 14:00:00 to 14:01:00 UTC (1 min)",
        "shift to v3",
        "RolledBack",
        &run.sentence,
        &run.polls[0].reason,
        &run.polls[1].reason,
        "stage 1 of 2",
        "prod1 80 %, prod2 20 %",
        "prod2: 20 % of its requests fail, until 14:00:50",
        "v3 to prod2",
        "web: rolled back",
        "prod2 failed\nlook",
        "8,170",
    ] {
        assert!(seen.text.contains(expected), "{expected} is nowhere in {}", seen.text);
    }
}

#[test]
fn every_app_has_charts_of_its_own() {
    let mut recording = recording();
    let mut portal = recording.apps[0].clone();
    portal.name = "portal".into();
    portal.samples.reverse();
    recording.apps.push(portal);
    let run = &mut recording.runs[0];
    run.before.insert("portal".into(), weights(100));
    // One went back, the other over to the fleet that is well.
    run.steps.last_mut().unwrap().app = Some("web".into());
    let over = Step { at: at(40), weights: weights(0), app: Some("portal".into()), what: What::RollBack };
    run.steps.push(over);
    let seen = look(&recording);
    assert_eq!((&seen.complaints, &seen.violations), (&vec![], &vec![]));
    assert_eq!(seen.images.len(), 2 * panels::TITLES.len());
    let name = |app: &str| format!("{app}: {}", panels::TITLES[0]);
    for app in ["web", "portal"] {
        assert!(seen.images.iter().any(|image| image.name == name(app)), "{:?}", seen.images);
    }
    let last = |chart: &str| seen.charts[chart].series[0].points.last().unwrap().1;
    assert_eq!((last("weights-web"), last("weights-portal")), (100.0, 0.0));
    assert_eq!(seen.charts["requests-portal"].series[1].points.len(), 60);
    assert!(seen.text.contains("portal: prod1 0 %, prod2 100 %"), "{}", seen.text);
}

#[test]
fn a_recording_survives_as_json() {
    let recording = recording();
    let text = serde_json::to_string(&recording).unwrap();
    assert_eq!(serde_json::from_str::<Recording>(&text).unwrap(), recording);
}

#[test]
fn a_run_that_was_refused_has_a_page_too() {
    let mut recording = recording();
    let run = &mut recording.runs[0];
    (run.before, run.odds_needed, run.ending) = (BTreeMap::new(), None, "PlanRejected".into());
    run.steps.clear();
    run.polls.clear();
    recording.apps.clear();
    let seen = look(&recording);
    assert_eq!(seen.complaints, [""; 0]);
    assert_eq!(seen.violations, [""; 0]);
    assert!(seen.text.contains("PlanRejected"));
}
