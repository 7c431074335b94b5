//! What a rehearsal leaves behind: a page about everything that happened in it.

use std::path::Path;

use alb::Call;
use anyhow::Result;
use failover::model::Plan;
use jiff::Timestamp;
use report::{Event, Figure, Notice, Recording, Run, collect};

use crate::{App, FLEETS, Ground};

/// Collects what is told of a rehearsal while it goes on.
#[derive(Debug)]
pub struct Recorder {
    title: String,
    began: Timestamp,
    runs: Vec<Run>,
    plan: Option<Plan>,
    events: Vec<Event>,
    notices: Vec<Notice>,
}

impl Recorder {
    /// Begins, for the scenario of this name, with users that have just come.
    pub fn new(scenario: &str) -> Self {
        Self {
            title: format!("Rehearsal: {scenario}"),
            began: Timestamp::now(),
            runs: Vec::new(),
            plan: None,
            events: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Adds an execution that has ended.
    ///
    /// # Errors
    /// If Step Functions does not answer.
    pub async fn ran(&mut self, ground: &Ground, execution: &str) -> Result<()> {
        let (run, plan) = collect::run(&ground.sfn, execution).await?;
        self.runs.push(run);
        self.plan = plan.or(self.plan.take());
        Ok(())
    }

    /// Adds something that was done just now.
    pub fn did(&mut self, text: String) {
        self.events.push(Event { at: Timestamp::now(), until: None, fault: false, text });
    }

    /// Adds a notice, if this is the call that sent it.
    pub fn noticed(&mut self, call: &Call) {
        let said = |name| call.parameter(name).map(str::to_owned);
        if let (Some(subject), Some(text)) = (said("Subject"), said("Message")) {
            self.notices.push(Notice { at: call.at, subject, text });
        }
    }

    /// Writes the page to a file; without charts where no run came to have a plan, which says what to
    /// draw.
    ///
    /// # Errors
    /// If the balancer does not tell its metrics, or the page cannot be written.
    pub async fn write(
        self,
        ground: &Ground,
        app: &App<'_>,
        figures: Vec<Figure>,
        file: &Path,
    ) -> Result<()> {
        let period_seconds = self.plan.as_ref().map_or(1, |plan| plan.period_seconds);
        let from = collect::period_start(self.began, period_seconds)?;
        let until = collect::period_start(Timestamp::now(), period_seconds)?;
        let apps = match &self.plan {
            Some(plan) => collect::samples(&ground.cloudwatch, plan, from, until).await?,
            None => Vec::new(),
        };
        let mut events = self.events;
        events.extend(app.faults().into_iter().map(|fault| Event {
            at: fault.from,
            until: fault.until,
            fault: true,
            text: format!("{}: {}", FLEETS[fault.fleet], fault.text),
        }));
        events.sort_by_key(|event| event.at);
        let recording = Recording {
            title: self.title,
            fleets: self.plan.as_ref().map_or_else(|| FLEETS.map(str::to_owned), collect::fleets),
            from,
            until,
            period_seconds,
            runs: self.runs,
            apps,
            events,
            notices: self.notices,
            figures,
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, report::page::render(&recording))?;
        Ok(())
    }
}
