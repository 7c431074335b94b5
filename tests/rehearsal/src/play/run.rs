//! A scenario from its first request to its report.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use failover::model::samples::Figures;
use failover::model::{Plan, StageRecord};
use jiff::Timestamp;
use scenario::{Action, Ending, FLEETS, Moment, Run, Scenario, Seconds, Setup, Weights};
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::action::{Scene, carry_out};
use super::report::{FromFault, Report, Requests, RunReport, contradicts, exceeded};
use crate::app::App;
use crate::execution::{Ended, Event, Execution};
use crate::ground::Ground;
use crate::recording::Recorder;
use crate::site::{Forward, Site};
use crate::traffic::{Tally, Traffic};

/// How long users come at most.
const USERS_FOR: Duration = Duration::from_mins(10);

/// How often it is told what the users see.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long the traffic is measured at the end, and how long an answer may take.
const MEASURED_FOR: Duration = Duration::from_millis(1500);
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);

/// Fewer requests say nothing about weights.
const ENOUGH: u64 = 50;

/// What there is to see of a rehearsal as it goes.
#[derive(Debug)]
pub enum Happening<'a> {
    /// Users come, for this long before the first run.
    UsersCome(Seconds),
    /// Something was done that the scenario asks for.
    Did(&'a Action),
    /// An execution was started with this input.
    Started(&'a Value),
    /// The plan of the execution is made.
    Planned(&'a Plan),
    /// The weights of a stage, or of a probe, stand.
    Set(&'a StageRecord),
    /// A poll has come to a verdict.
    Polled {
        /// The verdict.
        verdict: &'a str,
        /// Why.
        reason: &'a str,
        /// What it rests on.
        figures: &'a BTreeMap<String, Figures>,
    },
    /// What the users have seen since the weights were set last; several times a second.
    Seen(Tally),
    /// The execution has ended, for this reason.
    Ended(&'a str, &'a str),
}

/// Runs a scenario on an app of this name, tells `watch` what happens, and leaves a `page` about it if
/// there is to be one.
///
/// # Errors
/// If it cannot be run; that it does not end as it must is for the report to say.
pub async fn rehearse(
    ground: &Ground,
    app: &str,
    (name, scenario): (&str, &Scenario),
    watch: &mut dyn FnMut(&Happening<'_>),
    page: Option<&Path>,
) -> Result<Report> {
    let site = Site::new(ground, scenario.app.balancer.as_deref().unwrap_or(app)).await?;
    let app = site.app(app, &scenario.app.routes, forward(&scenario.app)).await?;
    if scenario.app.previews {
        for (fleet, host) in ["one.shop.example", "two.shop.example"].into_iter().enumerate() {
            app.preview(fleet, host).await?;
        }
    }
    let first_request = ground.alb.access_log_len();
    let traffic = app.users(scenario.users, USERS_FOR);
    watch(&Happening::UsersCome(scenario.users.history_seconds));
    sleep(scenario.users.history_seconds.duration()).await;
    let mut rehearsal = Rehearsal {
        ground,
        app: &app,
        traffic: &traffic,
        scenario,
        watch,
        problems: Vec::new(),
        decisions: Vec::new(),
        calls: BTreeMap::new(),
        spread: Duration::ZERO,
        late_reads: Duration::ZERO,
        recorder: page.map(|_| Recorder::new(name)),
    };
    let mut runs = Vec::new();
    for run in &scenario.runs {
        runs.push(rehearsal.run(run).await?);
        // What follows was meant to follow something else.
        if !rehearsal.problems.is_empty() {
            break;
        }
    }
    let recorder = rehearsal.recorder.take();
    let report = rehearsal.report(name, runs, first_request).await?;
    if let (Some(recorder), Some(page)) = (recorder, page) {
        recorder.write(ground, &app, report.figures(), page).await?;
    }
    Ok(report)
}

/// How the routes forward before the first run.
fn forward(setup: &Setup) -> Forward {
    let weights = setup.weights.both();
    match setup.fixed_on {
        Some(fleet) => Forward::Fixed(fleet.index()),
        None if setup.sticky => Forward::Sticky(weights),
        None => Forward::Weighted(weights),
    }
}

/// A scenario that is going on.
struct Rehearsal<'a> {
    ground: &'a Ground,
    app: &'a App<'a>,
    traffic: &'a [Traffic],
    scenario: &'a Scenario,
    watch: &'a mut dyn FnMut(&Happening<'_>),
    problems: Vec<String>,
    /// When a run turned from its way.
    decisions: Vec<Timestamp>,
    calls: BTreeMap<String, usize>,
    /// How late weights spread now.
    spread: Duration,
    /// For how long reads may show what stood before a change.
    late_reads: Duration,
    /// Where there is to be a page.
    recorder: Option<Recorder>,
}

/// An execution that was followed to its end.
struct Followed {
    ended: Ended,
    /// How often it set weights.
    stages: usize,
}

impl Rehearsal<'_> {
    async fn run(&mut self, run: &Run) -> Result<RunReport> {
        for action in &run.before {
            self.act(action, None).await?;
        }
        let (began, first_call) = (Instant::now(), self.ground.alb.calls_len());
        let input = self.scenario.input_of(run, &self.app.name);
        (self.watch)(&Happening::Started(&input));
        let execution = self.ground.execute(&input).await?;
        let arn = execution.arn.clone();
        let followed = self.follow(execution, &run.meanwhile).await?;
        let (stages, mut verdicts) = (followed.stages, followed.ended.verdicts.clone());
        let ended = if followed.ended.status == "ABORTED" {
            let restore = self.ground.restore_of(&arn).await?;
            let restore_arn = restore.arn.clone();
            let ended = self.follow(restore, &[]).await?.ended;
            self.record(&[arn, restore_arn]).await?;
            ended
        } else {
            self.record(&[arn]).await?;
            followed.ended
        };
        let ending = ended.error.as_deref().or(ended.output["status"].as_str()).unwrap_or(&ended.status);
        let says = ended.cause.as_deref().or(ended.output["summary"].as_str()).unwrap_or_default();
        (self.watch)(&Happening::Ended(ending, says));
        let mark = self.app.mark();
        for call in self.ground.alb.calls_since(first_call).iter().filter(|c| mark.is_in(&c.parameters)) {
            *self.calls.entry(call.action.clone()).or_default() += 1;
            if let Some(recorder) = &mut self.recorder {
                recorder.noticed(call);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let Ok(ending) = serde_json::from_value::<Ending>(ending.into()) else {
            bail!("{ending} is no ending: {says}");
        };
        let polls = verdicts.drain(..).map(|(verdict, reason)| format!("{verdict}: {reason}")).collect();
        // What is left behind is asked of the same reads.
        sleep(self.late_reads).await;
        let weights = self.weights().await?;
        let operation = run.operation.word().to_owned();
        let (says, path) = (says.to_owned(), ended.path.clone());
        let report = RunReport { operation, ending, says, weights, stages, path, polls, seconds };
        self.check(run, &report).await?;
        Ok(report)
    }

    async fn record(&mut self, executions: &[String]) -> Result<()> {
        if let Some(recorder) = &mut self.recorder {
            for execution in executions {
                recorder.ran(self.ground, execution).await?;
            }
        }
        Ok(())
    }

    async fn act(&mut self, action: &Action, execution: Option<&str>) -> Result<()> {
        if let Action::Aws(aws) = action {
            self.spread = aws.spread_seconds.duration();
            self.late_reads = aws.late_reads_seconds.duration();
        }
        let scene = Scene { ground: self.ground, app: self.app, traffic: self.traffic, execution };
        carry_out(action, &scene).await.with_context(|| action.to_string())?;
        if let Some(recorder) = &mut self.recorder {
            recorder.did(action.to_string());
        }
        (self.watch)(&Happening::Did(action));
        Ok(())
    }

    /// Follows an execution to its end, and does what is to be done meanwhile.
    async fn follow(&mut self, mut execution: Execution, moments: &[Moment]) -> Result<Followed> {
        let arn = execution.arn.clone();
        let due_at = |moment: &Moment| Instant::now() + moment.after_seconds.duration();
        let at_the_start = moments.iter().filter(|moment| moment.stage.is_none());
        let mut due: Vec<(Instant, &Moment)> = at_the_start.map(|moment| (due_at(moment), moment)).collect();
        let (mut stages, mut since) = (0, Timestamp::now());
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Kept from one moment to the next: a busy machine might never finish it otherwise.
            let next = execution.next();
            tokio::pin!(next);
            let event = loop {
                let first = due.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(index, _)| index);
                let at = first.map_or_else(Instant::now, |index| due[index].0);
                tokio::select! {
                    event = &mut next => break event?,
                    () = sleep_until(at), if first.is_some() => {
                        let (_, moment) = due.remove(first.unwrap_or_default());
                        for action in &moment.actions {
                            self.act(action, Some(&arn)).await?;
                        }
                    }
                    _ = looks.tick() => {
                        let seen = self.tally(since);
                        (self.watch)(&Happening::Seen(seen));
                    }
                }
            };
            let Some(event) = event else { break };
            if matches!(&event, Event::Left(state, output) if state == "SetWeights" && output["weights"].is_object())
            {
                stages += 1;
                since = Timestamp::now();
                let now_due = moments.iter().filter(|moment| moment.stage == Some(stages));
                due.extend(now_due.map(|moment| (due_at(moment), moment)));
            }
            self.tell(&event)?;
        }
        Ok(Followed { ended: execution.finish().await?, stages })
    }

    /// Tells what an event means, and notes the time where the run turns from its way.
    fn tell(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Answered(answer) if answer["plan"].is_object() => {
                let plan = serde_json::from_value(answer["plan"].clone()).context("this is no plan")?;
                (self.watch)(&Happening::Planned(&plan));
            }
            Event::Left(state, output) if state == "SetWeights" && output["weights"].is_object() => {
                let record = serde_json::from_value(output.clone()).context("this is no stage")?;
                (self.watch)(&Happening::Set(&record));
            }
            Event::Left(state, output) if state == "CheckMetrics" && output["figures"].is_object() => {
                let figures = serde_json::from_value(output["figures"].clone()).context("no figures")?;
                let text = |field: &str| output[field].as_str().unwrap_or_default();
                let (verdict, reason) = (text("verdict"), text("reason"));
                if !matches!(verdict, "wait" | "advance") {
                    self.decisions.push(Timestamp::now());
                }
                (self.watch)(&Happening::Polled { verdict, reason, figures: &figures });
            }
            Event::Entered(state) if matches!(state.as_str(), "RollBack" | "Settle") => {
                self.decisions.push(Timestamp::now());
            }
            _ => {}
        }
        Ok(())
    }

    fn tally(&self, since: Timestamp) -> Tally {
        self.traffic.iter().map(|t| t.tally_since(since, FLEETS)).fold(Tally::default(), std::ops::Add::add)
    }

    /// The weights that all routes hold alike.
    async fn weights(&mut self) -> Result<Weights> {
        let all = self.app.weights().await?;
        let [prod1, prod2] = *all.first().context("an app without routes")?;
        if all.iter().any(|weights| *weights != [prod1, prod2]) {
            self.problems.push(format!("the routes hold different weights: {all:?}"));
        }
        Ok(Weights { prod1, prod2 })
    }

    /// Holds a run against what the scenario says of it.
    async fn check(&mut self, run: &Run, report: &RunReport) -> Result<()> {
        let mut problems = Vec::new();
        if report.ending != run.ends {
            problems.push(format!("ended in {} instead of {}: {}", report.ending, run.ends, report.says));
        }
        if report.weights != run.weights {
            problems.push(format!("left {} instead of {}", report.weights, run.weights));
        }
        if let Some(stages) = run.stages.filter(|stages| *stages != report.stages) {
            problems.push(format!("set weights {} times instead of {stages}", report.stages));
        }
        if !report.path.ends_with(&run.last_states) || !run.path.is_empty() && report.path != run.path {
            problems.push(format!("went through {:?}", report.path));
        }
        let said =
            |text: &&String| report.says.contains(*text) || report.polls.iter().any(|p| p.contains(*text));
        for text in run.says.iter().filter(|text| !said(text)) {
            problems.push(format!("says nothing of {text:?}: {}; polls: {:#?}", report.says, report.polls));
        }
        if self.app.claim().await?.is_some() {
            problems.push("has left a claim behind".into());
        }
        self.problems.extend(problems.into_iter().map(|what| format!("{}: {what}", report.operation)));
        Ok(())
    }

    async fn report(mut self, name: &str, runs: Vec<RunReport>, first_request: usize) -> Result<Report> {
        let weights = self.weights().await?;
        let ending = runs.last().context("a scenario without runs")?.ending;
        sleep(self.spread).await;
        let end = Timestamp::now();
        sleep(MEASURED_FOR + ANSWERED_WITHIN).await;
        let mut tally = Tally::default();
        let mut hits = Vec::new();
        let faults = self.app.faults();
        for entry in self.ground.alb.access_log_since(first_request) {
            let to = entry.target_group_arn.as_deref();
            let Some(fleet) = self.app.groups.iter().position(|group| to == Some(group)) else { continue };
            let arrived = entry.time.checked_sub(entry.duration)?;
            if (end..=end + MEASURED_FOR).contains(&arrived) {
                tally.by_fleet[fleet] += 1;
            }
            let its = faults.iter().filter(|fault| fault.fleet == fleet);
            if its
                .clone()
                .any(|fault| (fault.from..=fault.until.unwrap_or(Timestamp::MAX)).contains(&arrived))
            {
                hits.push(arrived);
            }
        }
        let measured = (tally.by_fleet.iter().sum::<u64>() >= ENOUGH).then(|| tally.percent_of_second());
        if measured.is_some() && contradicts(&tally, weights) {
            self.problems.push(format!("the traffic is not {weights}: {tally:?}"));
        }
        let requests = Requests::new(self.app, self.traffic, hits.len());
        self.problems.extend(exceeded(&self.scenario.limits, &requests, &self.calls));
        Ok(Report {
            scenario: name.into(),
            problems: self.problems,
            ending,
            weights,
            measured_percent_of_prod2: measured,
            runs,
            requests,
            from_fault: FromFault::new(&hits, &self.decisions, end),
            calls: self.calls,
        })
    }
}
