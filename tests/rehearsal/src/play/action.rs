//! What a scenario asks for, done on a balancer with real traffic.

use ::scenario::Action;
use alb::AlarmState;
use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::fault::{self, behaviour};
use crate::app::App;
use crate::ground::Ground;
use crate::traffic::Traffic;

/// Where it happens.
pub(super) struct Scene<'a> {
    pub(super) ground: &'a Ground,
    pub(super) app: &'a App<'a>,
    pub(super) traffic: &'a [Traffic],
    /// The execution that runs, if one does.
    pub(super) execution: Option<&'a str>,
}

/// Does it.
pub(super) async fn carry_out(action: &Action, scene: &Scene<'_>) -> Result<()> {
    let Scene { ground, app, traffic, execution } = scene;
    match action {
        Action::Deploy { fleet, release } => app.deploy(fleet.index(), release),
        Action::Told { fleet, release } => app.tell(fleet.index(), release).await?,
        Action::Fleet { name, target: None, behaves } => app.set(name.index(), behaviour(*behaves)),
        Action::Fleet { name, target: Some(number), behaves } => {
            let target = number.checked_sub(1).context("the first target is 1")?;
            app.set_target(name.index(), target, behaviour(*behaves))?;
        }
        Action::Users { percent } => traffic.iter().for_each(|users| users.set_percent(*percent)),
        Action::Aws(aws) => fault::apply(aws, ground, app),
        Action::Calls(call) => fault::arm(call, ground, app)?,
        Action::Alarm { name, ringing } => {
            let state = if *ringing { AlarmState::Alarm } else { AlarmState::Ok };
            ground.alb.set_alarm(name, state);
        }
        Action::SomebodyElseSets(weights) => app.overwrite(weights.both()).await?,
        Action::DeleteRoute { number, again } => {
            let number = number.checked_sub(1).context("the first route is 1")?;
            app.delete_route(number, *again).await?;
        }
        Action::NewRule { fleet, path, priority } => app.new_rule(fleet.index(), path, *priority).await?,
        Action::TargetStickiness { fleet } => app.bind_sessions(fleet.index()).await?,
        Action::Stopped { fleet, on } => {
            ensure!(ground.alb.stop_instances(&app.groups[fleet.index()], *on), "there is no such group");
        }
        Action::Neighbour { rate, seconds } => app.neighbour(*rate, seconds.duration()).await?,
        Action::Request { value } => app.request(value).await?,
        Action::Stop => ground.stop(execution.context("nothing runs that could be stopped")?).await?,
        Action::Wait { seconds } => sleep(seconds.duration()).await,
        Action::UntilHealthy => app.until_healthy().await?,
    }
    Ok(())
}
