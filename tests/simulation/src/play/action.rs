//! What a scenario asks for, done to a world in virtual time.

use std::time::Duration;

use alb::AlarmState;
use scenario::{Action, Aws, Behaves, FleetName};
use tokio::time::sleep;

use super::ailment;
use crate::cloud::Cloud;
use crate::plot::{MINUTE, Trouble};
use crate::site::FIXED;
use crate::world::lock;

/// How late minutes appear in CloudWatch where nothing is said, in seconds, and how long they are incomplete.
pub(super) const LATE: (f64, f64) = (30.0, 0.0);

/// Does what is asked for, in order.
pub(crate) async fn carry_out(cloud: &Cloud, actions: &[Action]) {
    for action in actions {
        cloud.meanwhile();
        act(cloud, action).await;
        cloud.look();
    }
}

async fn act(cloud: &Cloud, action: &Action) {
    let app = &cloud.site.apps[0];
    match action {
        // What it runs shows in no metric, everybody is healthy again by the next run, and whoever carries out
        // the run stops it.
        Action::Deploy { .. } | Action::UntilHealthy | Action::Stop => {}
        Action::Wait { seconds } => sleep(Duration::from_secs_f64(seconds.get() * MINUTE)).await,
        Action::Told { fleet, release } => {
            tag(cloud, &app.groups[fleet.index()], "failover:release", release).await;
        }
        Action::Request { value } => tag(cloud, app.lock(), "failover:request", value).await,
        Action::Fleet { name, target, behaves } => behave(cloud, *name, *target, *behaves),
        Action::Users { percent } => {
            lock(&cloud.worlds[0]).plot.rate = cloud.plot.rate * f64::from(*percent) / 100.0;
        }
        Action::Neighbour { rate, seconds } => {
            // As many in a minute as in a second live.
            lock(&cloud.worlds[0]).plot.neighbour = f64::from(*rate);
            sleep(Duration::from_secs_f64(seconds.get() * MINUTE)).await;
            lock(&cloud.worlds[0]).plot.neighbour = 0.0;
        }
        Action::Aws(aws) => trouble(cloud, aws),
        Action::Calls(fault) => {
            let route = fault.route.and_then(|number| app.routes.get(number.checked_sub(1)?)).cloned();
            cloud.faults.arm(fault.clone(), route);
        }
        Action::Alarm { name, ringing } => {
            cloud.alb.set_alarm(name, if *ringing { AlarmState::Alarm } else { AlarmState::Ok });
        }
        Action::SomebodyElseSets(weights) => {
            for route in 0..app.routes.len() {
                cloud.set_weights(0, route, weights.both().map(u32::from)).await;
            }
        }
        Action::DeleteRoute { number, again } => delete(cloud, *number, *again).await,
        Action::NewRule { fleet, path, priority } => {
            let priority = usize::try_from(*priority).unwrap_or(1);
            cloud.rule(priority, ("path-pattern", path), &[(&app.groups[fleet.index()], FIXED)]).await;
        }
        Action::Stopped { fleet, on } => {
            cloud.alb.stop_instances(&app.groups[fleet.index()], *on);
        }
        Action::TargetStickiness { fleet } => {
            let attribute = [
                ("TargetGroupArn", app.groups[fleet.index()].as_str()),
                ("Attributes.member.1.Key", "stickiness.enabled"),
                ("Attributes.member.1.Value", "true"),
            ];
            cloud.ask("ModifyTargetGroupAttributes", &attribute).await;
        }
    }
}

async fn tag(cloud: &Cloud, arn: &str, key: &str, value: &str) {
    let tag = [("ResourceArns.member.1", arn), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)];
    cloud.ask("AddTags", &tag).await;
}

/// Whatever troubled the fleet before does so no longer.
fn behave(cloud: &Cloud, name: FleetName, target: Option<usize>, behaves: Behaves) {
    let (fleet, (what, capacity)) = (name.index(), ailment(behaves, target));
    let mut world = lock(&cloud.worlds[0]);
    let at = world.now - world.began;
    for trouble in world.plot.troubles.iter_mut().filter(|trouble| trouble.on[fleet]) {
        trouble.until = trouble.until.min(at);
    }
    world.plot.troubles.push(Trouble::of_fleet(fleet, at, what));
    world.fleets[fleet].capacity = capacity.unwrap_or(cloud.plot.fleets[fleet].capacity);
}

fn trouble(cloud: &Cloud, aws: &Aws) {
    let unseen = aws.unseen.iter().map(|fleet| cloud.site.apps[0].groups[fleet.index()].clone());
    let trouble = alb::Trouble {
        late_reads: aws.late_reads_seconds.duration(),
        gaps: aws.gaps_percent / 100.0,
        points_twice: aws.points_twice,
        unseen_groups: unseen.collect(),
        ..alb::Trouble::default()
    };
    cloud.alb.set_trouble(&cloud.site.balancer, trouble);
    let late = (aws.metric_lag_seconds.get() * MINUTE).max(LATE.0);
    let partial = aws.partial.map_or(LATE.1, |partial| partial.seconds.get() * MINUTE);
    lock(&cloud.worlds[0]).plot.late = (late, partial);
}

async fn delete(cloud: &Cloud, number: usize, again: bool) {
    let (place, app) = (number.saturating_sub(1), &cloud.site.apps[0]);
    let route = &app.routes[place];
    cloud.alb.remove_rule(route);
    let made = if again {
        let kind = cloud.plot.setup.routes[place];
        // As its files have it: to the fleet that was live.
        let live = usize::from(cloud.plot.found[1] > cloud.plot.found[0]);
        Some(cloud.route(0, place, kind, &[(&app.groups[live], FIXED)]).await)
    } else {
        None
    };
    lock(&cloud.moved).insert(route.clone(), made);
}
