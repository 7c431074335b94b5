//! From a recording to the panels of the dashboard in the template, in its order.

use std::time::Duration;

use failover::model::Weights;
use jiff::Timestamp;

use crate::chart::{Chart, Marks, Scale, Series, Shape, Span};
use crate::time::clock;
use crate::{App, Recording, Run, Sample, Step, What};

/// What the panels are called, here and on the dashboard.
pub const TITLES: [&str; 8] = [
    "Weights, percent",
    "Stage",
    "Requests a second",
    "Failures, percent of requests",
    "Slow responses, percent of requests",
    "Response time, 95th percentile in seconds",
    "Healthy targets",
    "Odds against the standby",
];

/// More points than these are more than one can tell apart on a phone.
const MOST_POINTS: usize = 80;

/// The classes of both fleets.
const FLEETS: [&str; 2] = ["first", "second"];

/// All panels of an app.
pub fn panels(recording: &Recording, app: &App) -> Vec<Chart> {
    let samples = thinned(recording, app);
    let seconds = seconds(recording);
    let of_fleets = |title: &str, id: &str, unit, least, value: &dyn Fn(&Sample) -> Option<f64>| {
        let series: Vec<Series> = [0, 1]
            .map(|i| Series {
                name: recording.fleets[i].clone(),
                class: FLEETS[i],
                shape: Shape::Line,
                points: samples[i].iter().map(|sample| (middle(recording, sample), value(sample))).collect(),
            })
            .into();
        let known = series.iter().flat_map(|series| series.points.iter().filter_map(|(_, value)| *value));
        let scale = Scale::up_to(known, least);
        Chart {
            id: id.to_owned(),
            title: String::from(title),
            description: words(&series, unit),
            unit,
            scale,
            threshold: None,
            series,
        }
    };
    let share = |events: fn(&Sample) -> u64| {
        move |s: &Sample| (s.requests > 0).then(|| 100.0 * events(s) as f64 / s.requests as f64)
    };
    let mut panels = vec![
        weights(recording, app, &samples),
        stages(recording),
        of_fleets(TITLES[2], "requests", "", 1.0, &|s| Some(s.requests as f64 / seconds as f64)),
        of_fleets(TITLES[3], "failures", " %", 1.0, &share(|s| s.failures.min(s.requests))),
        of_fleets(TITLES[4], "slow", " %", 10.0, &share(|s| s.slow.min(s.requests))),
        of_fleets(TITLES[5], "time", " s", 0.01, &|s| s.usual_seconds),
        of_fleets(TITLES[6], "targets", "", 4.0, &|s| s.healthy.map(f64::from)),
        odds(recording, app),
    ];
    // With several apps it must be told which one a chart is about.
    if recording.apps.len() > 1 {
        for chart in &mut panels {
            chart.id = format!("{}-{}", chart.id, app.name);
            chart.title = format!("{}: {}", app.name, chart.title);
        }
    }
    panels
}

/// What every panel marks.
pub fn marks(recording: &Recording) -> Marks {
    let faults = recording.events.iter().filter(|event| event.fault);
    let steps = recording.runs.iter().flat_map(|run| &run.steps);
    let rollbacks = steps.filter(|step| step.what == What::RollBack);
    Marks {
        faults: faults.map(|event| (event.at, event.until.unwrap_or(recording.until))).collect(),
        rollbacks: rollbacks.map(|step| step.at).collect(),
    }
}

/// The time that the panels show.
pub fn span(recording: &Recording) -> Span {
    Span { from: recording.from, until: recording.until }
}

/// The samples, some together where there are too many to draw; all of the same length.
pub fn thinned(recording: &Recording, app: &App) -> [Vec<Sample>; 2] {
    let together = together(recording);
    [0, 1].map(|fleet| app.samples[fleet].chunks_exact(together).filter_map(sum).collect())
}

/// What one point covers.
fn seconds(recording: &Recording) -> u64 {
    together(recording) as u64 * u64::from(recording.period_seconds)
}

/// The time at which a point is drawn: amid what it covers.
fn middle(recording: &Recording, sample: &Sample) -> Timestamp {
    sample.at + Duration::from_secs(seconds(recording)) / 2
}

/// How many samples make one point.
fn together(recording: &Recording) -> usize {
    let samples = recording.apps.first().map_or(0, |app| app.samples[0].len());
    samples.div_ceil(MOST_POINTS).max(1)
}

fn sum(samples: &[Sample]) -> Option<Sample> {
    let usual = samples.iter().filter_map(|s| s.usual_seconds).max_by(f64::total_cmp);
    Some(Sample {
        at: samples.first()?.at,
        requests: samples.iter().map(|s| s.requests).sum(),
        failures: samples.iter().map(|s| s.failures).sum(),
        slow: samples.iter().map(|s| s.slow).sum(),
        usual_seconds: usual,
        healthy: samples.iter().filter_map(|s| s.healthy).min(),
    })
}

/// What the routes of an app held over time: what each run found, and what it set.
fn weights_over_time<'a>(recording: &'a Recording, app: &App) -> Vec<(Timestamp, &'a Weights)> {
    let mut over_time = Vec::new();
    for run in &recording.runs {
        over_time.extend(run.before.get(&app.name).map(|before| (run.started_at, before)));
        let of_app = |step: &&Step| step.app.as_ref().is_none_or(|name| *name == app.name);
        over_time.extend(run.steps.iter().filter(of_app).map(|step| (step.at, &step.weights)));
    }
    over_time
}

fn weights(recording: &Recording, app: &App, samples: &[Vec<Sample>; 2]) -> Chart {
    let over_time = weights_over_time(recording, app);
    let percent =
        |weights: &Weights| weights.get(&recording.fleets[0]).map(|percent| f64::from(percent.get()));
    let first = over_time.first().map(|(_, weights)| (recording.from, percent(weights)));
    let last = over_time.last().map(|(_, weights)| (recording.until, percent(weights)));
    let set = over_time.iter().map(|(at, weights)| (*at, percent(weights)));
    let points: Vec<_> = first.into_iter().chain(set).chain(last).collect();
    let measured = samples[0].iter().zip(&samples[1]).map(|(first, second)| {
        let all = first.requests + second.requests;
        (middle(recording, first), (all > 0).then(|| 100.0 * first.requests as f64 / all as f64))
    });
    let area = |i: usize, shape| Series {
        name: recording.fleets[i].clone(),
        class: FLEETS[i],
        shape,
        points: points.clone(),
    };
    let mut changes = over_time.clone();
    changes.dedup_by_key(|(_, weights)| *weights);
    let told: Vec<String> =
        changes.iter().map(|(at, weights)| format!("{} {}", clock(*at), crate::split(weights))).collect();
    Chart {
        id: "weights".into(),
        title: TITLES[0].into(),
        description: format!(
            "{}. The line between the areas is the share of requests as measured.",
            told.join("; ")
        ),
        unit: " %",
        scale: Scale::Linear(100.0),
        threshold: None,
        series: vec![
            area(0, Shape::Below),
            area(1, Shape::Above),
            Series {
                name: "measured".into(),
                class: "measured",
                shape: Shape::Line,
                points: measured.collect(),
            },
        ],
    }
}

fn stages(recording: &Recording) -> Chart {
    let of_run = |run: &Run| {
        let steps = run.steps.iter().map(|step| match step.what {
            What::Stage(number, _) | What::Recheck(number, _) => (step.at, Some(number as f64)),
            What::RollBack => (step.at, Some(0.0)),
        });
        let began = (run.started_at, Some(0.0));
        let ended = run.ended_at.unwrap_or(recording.until);
        let last = steps.clone().next_back().map_or(Some(0.0), |(_, number)| number);
        [began].into_iter().chain(steps).chain([(ended, last), (ended, Some(0.0))]).collect::<Vec<_>>()
    };
    let points: Vec<_> = recording.runs.iter().flat_map(of_run).collect();
    let series = vec![Series { name: "stage".into(), class: "neutral", shape: Shape::Steps, points }];
    let most = recording.runs.iter().flat_map(|run| &run.steps).map(|step| match step.what {
        What::Stage(_, of) | What::Recheck(_, of) => of,
        What::RollBack => 0,
    });
    // Even, so that the half of it is a stage as well.
    let top = most.max().unwrap_or(0).max(2).next_multiple_of(2);
    Chart {
        id: "stages".into(),
        title: TITLES[1].into(),
        description: "The number of the stage under watch; 0 between runs.".into(),
        unit: "",
        scale: Scale::Linear(top as f64),
        threshold: None,
        series,
    }
}

fn odds(recording: &Recording, app: &App) -> Chart {
    let of_run = |run: &Run| {
        let polls = run.polls.iter().filter_map(|poll| Some((poll.at, Some(poll.odds(&app.name)?))));
        // A gap after each run: the next one begins anew.
        polls.chain([(run.ended_at.unwrap_or(recording.until), None)]).collect::<Vec<_>>()
    };
    let points: Vec<_> = recording.runs.iter().flat_map(of_run).collect();
    let series = vec![Series { name: "odds".into(), class: "neutral", shape: Shape::Line, points }];
    let needed = recording.runs.iter().filter_map(|run| run.odds_needed).min_by(f64::total_cmp);
    let threshold = needed.map(|odds| (odds, format!("rolled back at {} to 1", odds.round())));
    let words = words(&series, " to 1");
    Chart {
        id: "odds".into(),
        title: TITLES[7].into(),
        description: format!("{words} {}", threshold.as_ref().map_or("", |(_, label)| label)),
        unit: "",
        scale: Scale::Log(0.1, 1000.0),
        threshold,
        series,
    }
}

/// From where to where each series goes.
fn words(series: &[Series], unit: &str) -> String {
    let one = |series: &Series| {
        let values = || series.points.iter().filter_map(|(_, value)| *value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        if least.is_finite() {
            format!("{}: {least:.2} to {most:.2}{unit}.", series.name)
        } else {
            format!("{}: nothing known.", series.name)
        }
    };
    series.iter().map(one).collect::<Vec<_>>().join(" ")
}
