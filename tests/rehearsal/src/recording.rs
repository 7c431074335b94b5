//! What a rehearsal leaves behind: a page about everything that happened in it.

use std::path::Path;

use alb::Call;
use anyhow::Result;
use failover::contract::Plan;
use jiff::Timestamp;
use report::{Event, Figure, Notice, Recording, Run, collect};

use crate::{App, FLEETS, Ground};

/// Collects what is told of a rehearsal while it goes on.
#[derive(Debug)]
pub struct Recorder {
    began: Timestamp,
    runs: Vec<Run>,
    plan: Option<Plan>,
    events: Vec<Event>,
    notices: Vec<Notice>,
}

impl Recorder {
    /// Begins with users that have just come.
    pub fn new() -> Self {
        Self {
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

    /// Writes the page to a file; nothing where no run had a plan, so that there is nothing to draw.
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
        let Some(plan) = self.plan else { return Ok(()) };
        let from = collect::period_start(self.began, plan.period_seconds)?;
        let until = collect::period_start(Timestamp::now(), plan.period_seconds)?;
        let mut events = self.events;
        events.extend(app.faults().into_iter().map(|fault| Event {
            at: fault.from,
            until: fault.until,
            fault: true,
            text: format!("{}: {}", FLEETS[fault.fleet], fault.text),
        }));
        events.sort_by_key(|event| event.at);
        let recording = Recording {
            title: "Rehearsal".into(),
            fleets: collect::fleets(&plan),
            from,
            until,
            period_seconds: plan.period_seconds,
            runs: self.runs,
            apps: collect::samples(&ground.cloudwatch, &plan, from, until).await?,
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

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
