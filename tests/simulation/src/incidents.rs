//! What happens while runs go on, besides what the load does by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::plot::{Incident, Trouble, When};
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
            strike(cloud, &moment.what).await;
        }
    }
}

/// Lets happen what a scenario says of a run that begins now.
pub(crate) fn moments(cloud: &Arc<Cloud>, run: usize) -> Vec<JoinHandle<()>> {
    let its = cloud.plot.scenario.clone().unwrap_or_default().into_iter();
    its.filter_map(|moment| Some((moment.at.filter(|_| moment.run == run)?, moment.what)))
        .map(|(at, what)| {
            let cloud = Arc::clone(cloud);
            tokio::task::spawn_local(async move {
                until(&cloud, at).await;
                strike(&cloud, &what).await;
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
        Incident::Sets(weights) => {
            for route in 0..cloud.site.apps[0].routes.len() {
                cloud.set_weights(0, route, *weights).await;
            }
        }
        Incident::Fleet(fleet, ailment, capacity) => {
            cloud.meanwhile();
            let mut world = lock(&cloud.worlds[0]);
            let at = world.now - world.began;
            for trouble in world.plot.troubles.iter_mut().filter(|trouble| trouble.on[*fleet]) {
                trouble.until = trouble.until.min(at);
            }
            world.plot.troubles.push(Trouble::of_fleet(*fleet, at, *ailment));
            world.fleets[*fleet].capacity = capacity.unwrap_or(cloud.plot.fleets[*fleet].capacity);
        }
        Incident::Users(share) => {
            cloud.meanwhile();
            lock(&cloud.worlds[0]).plot.rate = cloud.plot.rate * share;
        }
    }
}
