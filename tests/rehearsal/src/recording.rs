//! What a rehearsal leaves behind: a page about everything that happened in it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use failover::contract::Plan;
use jiff::Timestamp;
use report::{Event, Figure, Notice, Recording, Run, collect};

use crate::{App, FLEETS, Ground, root};

/// Collects what is told of a rehearsal while it goes on.
#[derive(Debug)]
pub struct Recorder {
    began: Timestamp,
    runs: Vec<Run>,
    plan: Option<Plan>,
    deploys: Vec<Event>,
    notices: Vec<Notice>,
}

impl Recorder {
    /// Begins with users that have just come.
    pub fn new() -> Self {
        Self {
            began: Timestamp::now(),
            runs: Vec::new(),
            plan: None,
            deploys: Vec::new(),
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

    /// Adds a deployment of now.
    pub fn deployed(&mut self, fleet: usize, release: &str) {
        let text = format!("{release} to {}", FLEETS[fleet]);
        self.deploys.push(Event { at: Timestamp::now(), until: None, fault: false, text });
    }

    /// Adds a notice that was sent.
    pub fn noticed(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Writes the page, and returns where.
    ///
    /// # Errors
    /// If the balancer does not tell its metrics, or the page cannot be written.
    pub async fn write(self, ground: &Ground, app: &App<'_>, figures: Vec<Figure>) -> Result<PathBuf> {
        let plan = self.plan.context("no run had a plan")?;
        let from = collect::period_start(self.began, plan.period_seconds)?;
        let until = collect::period_start(Timestamp::now(), plan.period_seconds)?;
        let [(first, of_first), (second, of_second)] =
            collect::samples(&ground.cloudwatch, &plan, from, until).await?;
        let mut events = self.deploys;
        events.extend(app.faults());
        events.sort_by_key(|event| event.at);
        let recording = Recording {
            title: "Rehearsal".into(),
            fleets: [first, second],
            from,
            until,
            period_seconds: plan.period_seconds,
            runs: self.runs,
            samples: [of_first, of_second],
            events,
            notices: self.notices,
            figures,
        };
        let folder = root().join(".rehearsal");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("report.html");
        std::fs::write(&file, report::page::render(&recording))?;
        Ok(file)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
