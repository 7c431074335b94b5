//! Following a run to its end, or to where somebody has seen enough.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::sleep;

use super::Session;
use crate::aws::{Deployment, Execution, Follower};
use crate::message::{self, About};
use crate::run::{News, Run};
use crate::{Exit, show};

/// How often a run is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same while it is being planned, and somebody waits for the answer.
const LOOK_FIRST_EVERY: Duration = Duration::from_millis(500);

/// Looks that may fail one after the other before it is given up.
const FAILED_LOOKS: u32 = 15;

/// How long a run is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// To its end.
    End,
    /// Until it has begun, or is refused.
    Begun,
}

/// Watches the run of an app that is going on.
pub async fn watch(session: &Session<'_>, app: &str) -> Result<Exit> {
    let deployment = Deployment::find(session.common).await?;
    let run = super::running_or_refuse(&deployment, app, &session.options()).await?;
    follow(session, app, &deployment, &run.arn, Until::End).await
}

/// Follows a run, and shows what happens.
pub async fn follow(
    session: &Session<'_>,
    app: &str,
    deployment: &Deployment,
    arn: &str,
    until: Until,
) -> Result<Exit> {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    let mut follower = Follower::new(deployment, arn);
    let view = View::new(session.common.json, until);
    let mut last = None;
    let mut failed = 0;
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    loop {
        match follower.look().await {
            Ok(news) => {
                failed = 0;
                for news in news {
                    view.tell(&news, last.as_ref());
                    last = Some(news);
                }
            }
            Err(error) if failed >= FAILED_LOOKS => {
                return Err(error.context("the run goes on, and cannot be watched"));
            }
            Err(error) => {
                failed += 1;
                view.say(&format!("failover: cannot look, and tries again ({error:#})"));
            }
        }
        let run = &follower.run;
        view.draw(run, name);
        if run.over {
            drop(view);
            let execution = deployment.execution(arn.to_owned()).await?;
            return tell_end(session, app, deployment, run, &execution).await;
        }
        if until == Until::Begun && has_begun(run) {
            drop(view);
            return Ok(tell_begun(session, app, run, name));
        }
        let pause = if run.plan.is_none() { LOOK_FIRST_EVERY } else { LOOK_EVERY };
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut interrupted => {
                drop(view);
                eprintln!(
                    "Stopped watching; the run {name} goes on. To see it again: failover watch {app}{0}. To have it put back \
                     what it found: failover rollback {app}{0}",
                    session.options()
                );
                return Ok(Exit::Interrupted);
            }
        }
    }
}

/// Whether the run is past everything that refuses it without touching anything.
fn has_begun(run: &Run) -> bool {
    run.plan.is_some()
        && !matches!(run.state.as_str(), "" | "PlanShift" | "IsReady" | "ProbeStandby" | "CallBeforeRun")
        && !run.is_ending()
}

fn tell_begun(session: &Session<'_>, app: &str, run: &Run, name: &str) -> Exit {
    let Some(plan) = &run.plan else { return Exit::Done };
    if session.common.json {
        show::json_line(&json!({ "execution": plan.execution.arn, "name": name, "plan": plan }));
        return Exit::Done;
    }
    for line in show::plan::stages(plan, Timestamp::now(), show::width()) {
        println!("{line}");
    }
    println!("Watch it: failover watch {app}{}", session.options());
    Exit::Done
}

/// Follows a run to its end and shows nothing.
pub async fn finish_quietly(deployment: &Deployment, arn: &str) -> Result<(Run, Execution)> {
    let mut follower = Follower::new(deployment, arn);
    loop {
        follower.look().await?;
        if follower.run.over {
            return Ok((follower.run, deployment.execution(arn.to_owned()).await?));
        }
        sleep(LOOK_FIRST_EVERY).await;
    }
}

/// Tells how a run ended, with what the balancer holds now.
pub async fn tell_end(
    session: &Session<'_>,
    app: &str,
    deployment: &Deployment,
    run: &Run,
    execution: &Execution,
) -> Result<Exit> {
    let traffic = deployment.traffic(run.plan.as_ref()).await;
    let options = session.options();
    let about = About { app, operation: execution.known_operation(), options: &options };
    let ended = execution.ended.clone().unwrap_or_default();
    let (message, exit) = message::ended(about, run, &ended, &traffic);
    if session.common.json {
        show::json_line(&json!({
            "ending": ended.error.as_deref().unwrap_or(&ended.status), "message": message, "outcome": ended.outcome,
        }));
    } else {
        println!("{}", show::message(&message, show::width()));
    }
    Ok(exit)
}

/// Where it is shown: lines, and in a terminal a picture below them.
struct View {
    json: bool,
    quiet: bool,
    picture: Option<ProgressBar>,
}

impl View {
    fn new(json: bool, until: Until) -> Self {
        let quiet = until == Until::Begun;
        let picture = (!json && !quiet && show::width().is_some()).then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("one field");
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
        });
        Self { json, quiet, picture }
    }

    fn tell(&self, news: &News, before: Option<&News>) {
        if self.quiet {
            return;
        }
        if self.json {
            show::json_line(news);
        } else if let Some(line) = show::watch::line(news, before, show::width()) {
            match &self.picture {
                Some(picture) => picture.println(line),
                None => println!("{line}"),
            }
        }
    }

    fn say(&self, line: &str) {
        match &self.picture {
            Some(picture) => picture.println(line),
            None => eprintln!("{line}"),
        }
    }

    fn draw(&self, run: &Run, name: &str) {
        if let Some(picture) = &self.picture {
            picture.set_message(show::watch::picture(run, name, Timestamp::now(), show::width()).join("\n"));
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(picture) = &self.picture {
            picture.finish_and_clear();
        }
    }
}
