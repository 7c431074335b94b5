//! What is asked of a run that is going on.

use std::time::Duration;

use anyhow::{Result, anyhow};
use failover::aws::tags;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Session, running_or_refuse, watching};
use crate::args::About;
use crate::ask::{self, Request, Wish};
use crate::aws::{Deployment, Follower};
use crate::run::News;
use crate::{Exit, show};

/// How often it is looked whether the run has followed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long that is waited for beyond two polls.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks something of the run of an app, and says when it was followed.
pub async fn ask(session: &Session<'_>, wish: Wish, about: &About) -> Result<Exit> {
    let deployment = Deployment::find(session.common).await?;
    let execution = running_or_refuse(&deployment, &about.app, &session.options()).await?;
    let mut follower = Follower::new(&deployment, &execution.arn);
    follower.look().await?;
    let request = match ask::request(wish, &follower.run) {
        Ok(request) => request,
        Err(why) => {
            tell(
                session,
                &json!({ "execution": execution.name, "refused": why }),
                &format!("Not asked: {why}."),
            );
            return Ok(Exit::NotDone);
        }
    };
    let Some(plan) = follower.run.plan.clone() else { return Ok(Exit::NotDone) };
    tags::ask(&deployment.balancer, &plan, &request.tag()).await.map_err(|error| anyhow!(error.message))?;
    // What happened before it was written says nothing about it.
    follower.look().await?;
    let asked = format!("Asked {} of {}.", request.tag(), execution.name);
    if about.no_wait {
        tell(session, &json!({ "execution": execution.name, "asked": request.tag() }), &asked);
        return Ok(Exit::Done);
    }
    if !session.common.json {
        println!("{asked}");
    }
    let wait = Duration::from_secs(2 * u64::from(plan.poll_seconds)) + PATIENCE;
    match followed(&mut follower, request, wait).await? {
        Followed::Seen(what) => {
            let told = json!({ "execution": execution.name, "asked": request.tag(), "followed": what });
            tell(session, &told, &format!("Followed: {what}."));
            Ok(Exit::Done)
        }
        Followed::Over => {
            let execution = deployment.execution(execution.arn).await?;
            watching::tell_end(session, &about.app, &deployment, &follower.run, &execution).await
        }
        Followed::NotYet => {
            let not_yet = format!("not within {} seconds; it stays asked", wait.as_secs());
            let told = json!({ "execution": execution.name, "asked": request.tag(), "followed": null });
            let watch = format!("failover watch {}{}", about.app, session.options());
            tell(session, &told, &format!("Followed: {not_yet}. See it: {watch}"));
            Ok(Exit::NotDone)
        }
    }
}

enum Followed {
    Seen(String),
    Over,
    NotYet,
}

async fn followed(follower: &mut Follower, request: Request, wait: Duration) -> Result<Followed> {
    let deadline = Instant::now() + wait;
    let before = follower.run.polls_begun;
    loop {
        for news in follower.look().await? {
            // A poll that had begun before may not have read it.
            let too_early = matches!(news, News::Polled(_)) && follower.run.polls_begun == before;
            if let Some(what) = request.followed(&news).filter(|_| !too_early) {
                return Ok(Followed::Seen(what));
            }
        }
        if follower.run.over {
            return Ok(Followed::Over);
        }
        if Instant::now() > deadline {
            return Ok(Followed::NotYet);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn tell(session: &Session<'_>, told: &serde_json::Value, words: &str) {
    if session.common.json {
        show::json_line(told);
    } else {
        println!("{}", show::wrapped(words, 0, show::width()));
    }
}
