//! What happens while runs go on, besides what the load does by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::play;
use crate::plot::{Incident, When};
use crate::world::lock;

/// Lets something happen so many seconds from now.
pub(crate) fn later(cloud: &Arc<Cloud>, after: f64, incident: Incident) {
    let cloud = Arc::clone(cloud);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(Duration::from_secs_f64(after)).await;
        strike(&cloud, &incident).await;
    });
}

/// Lets happen what a scenario says of the time before a run.
pub(crate) async fn before(cloud: &Cloud, run: usize) {
    for moment in cloud.plot.scenario.iter().flatten() {
        if moment.run == run && moment.at.is_none() {
            play::carry_out(cloud, &moment.actions).await;
        }
    }
}

/// Lets happen what a scenario says of a run that begins now.
pub(crate) fn moments(cloud: &Arc<Cloud>, run: usize) -> Vec<JoinHandle<()>> {
    let its = cloud.plot.scenario.clone().unwrap_or_default().into_iter();
    its.filter_map(|moment| Some((moment.at.filter(|_| moment.run == run)?, moment.actions)))
        .map(|(at, actions)| {
            let cloud = Arc::clone(cloud);
            tokio::task::spawn_local(async move {
                until(&cloud, at).await;
                play::carry_out(&cloud, &actions).await;
            })
        })
        .collect()
}

/// Waits for a moment of an execution that begins now.
pub(crate) async fn until(cloud: &Cloud, at: When) {
    match at {
        When::Seconds(after) => tokio::time::sleep(Duration::from_secs_f64(after)).await,
        When::Write(number) => {
            let told = Arc::new(Notify::new());
            *lock(&cloud.watched) = Some((number, Arc::clone(&told)));
            told.notified().await;
        }
        When::Stage(number, after) => {
            // The cloud outlives whoever waits.
            let _ = cloud.stages.subscribe().wait_for(|stages| *stages >= number).await;
            tokio::time::sleep(Duration::from_secs_f64(after)).await;
        }
    }
}

async fn strike(cloud: &Cloud, incident: &Incident) {
    match incident {
        Incident::Terraform => cloud.set_weights(0, 0, [100, 0]).await,
        Incident::ByHand => cloud.set_weights(0, 0, Incident::BY_HAND).await,
        Incident::Ask(what) => {
            let tag = [
                ("ResourceArns.member.1", cloud.site.apps[0].lock()),
                ("Tags.member.1.Key", "failover:request"),
                ("Tags.member.1.Value", what),
            ];
            cloud.ask("AddTags", &tag).await;
        }
    }
}
