//! Tags are written one resource a call, and those of many are read whatever is gone.

use super::*;
use crate::aws::fake::world;
use crate::model::weights::Percent;

fn run(future: impl Future) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        future.await;
    });
}

#[test]
fn every_route_is_claimed_recorded_and_released_by_a_call_of_its_own() {
    run(async {
        let (mut plan, fake) = world(3);
        plan.release = Some("v2".into());
        plan.apps[0].release.clone_from(&plan.release);
        let client = fake.client();
        let routes: Vec<&Route> = plan.routes.iter().collect();
        let fence = Fence::now(15);
        claim(&client, &plan, &routes, &fence, &mut Writes::default()).await.unwrap();
        assert_eq!(fake.count("AddTags"), 3);
        for route in &plan.routes {
            let tags = fake.state().tags[&route.arn].clone();
            assert_eq!(tags[CLAIM], plan.execution.arn);
            assert_eq!(
                (&*tags[BEFORE], &*tags[STAGES], &*tags[LIVE]),
                ("prod1=100/prod2=0 live=prod1", "50/100", "prod1")
            );
        }

        for _ in 0..2 {
            doubt(&client, &plan).await.unwrap();
            assert_eq!(fake.state().tags["arn:two"][RELEASE], "unproven:v2");
        }
        record(&client, &plan, &plan.weights(Percent::ALL), "prod2").await.unwrap();
        assert_eq!(fake.count("AddTags"), 3 + 2 + 4, "three routes and the standby's release");
        assert_eq!(fake.state().tags["arn:two"][RELEASE], "v2");
        assert_eq!(fake.state().tags["arn:rule-2"][BEFORE], "prod1=0/prod2=100 live=prod2 done");

        assert_eq!(release(&client, &plan, false).await.unwrap().len(), 3);
        assert_eq!(fake.count("RemoveTags"), 3);
        assert_eq!(fake.state().tags["arn:rule-1"].keys().collect::<Vec<_>>(), [LIVE]);
    });
}

#[test]
fn a_route_that_is_gone_stands_in_no_others_way() {
    run(async {
        let (plan, fake) = world(23);
        fake.delete(1);
        let client = fake.client();
        let arns: Vec<&str> = plan.routes.iter().map(|route| route.arn.as_str()).collect();
        let marks = read(&client, &arns).await.unwrap();
        let gone: Vec<usize> = (0..marks.len()).filter(|number| marks[*number].is_none()).collect();
        assert_eq!((marks.len(), gone), (23, vec![1]));
        assert_eq!(fake.count("DescribeTags"), 2 + 20, "only those of its call are asked for one by one");

        let (plan, fake) = world(12);
        fake.delete(1);
        let client = fake.client();
        record(&client, &plan, &plan.weights(Percent::ALL), "prod2").await.unwrap();
        let released = release(&client, &plan, false).await.unwrap();
        assert_eq!(released.len(), 11);
        assert!(fake.state().tags.values().all(|tags| !tags.contains_key(CLAIM)));
    });
}

#[test]
fn a_route_that_somebody_else_took_is_not_released_and_not_recorded() {
    run(async {
        let (plan, fake) = world(2);
        fake.state().tags.get_mut("arn:rule-1").unwrap().insert(CLAIM.into(), "arn:other".into());
        let client = fake.client();
        let error = record(&client, &plan, &plan.weights(Percent::ALL), "prod2").await.unwrap_err();
        assert_eq!(error.kind, crate::model::error::Kind::Overtaken);
        let released = release(&client, &plan, false).await.unwrap();
        assert_eq!(released.iter().map(|route| &*route.arn).collect::<Vec<_>>(), ["arn:rule-0"]);
        assert_eq!(fake.state().tags["arn:rule-1"][CLAIM], "arn:other");
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_gone() {
    run(async {
        let (plan, fake) = world(1);
        fake.state().refused = Some(("DescribeTags", "AccessDenied"));
        let error = read(&fake.client(), &[&plan.routes[0].arn]).await.unwrap_err();
        assert!(error.message.contains("AccessDenied"), "{error}");
    });
}

#[test]
fn what_is_asked_last_is_what_is_asked() {
    run(async {
        let (plan, fake) = world(3);
        fake.delete(0);
        fake.state().tags.get_mut("arn:rule-2").unwrap().insert(REQUEST.into(), "pause".into());
        ask(&fake.client(), &plan, "approve-50").await.unwrap();
        assert_eq!(fake.state().tags["arn:rule-1"][REQUEST], "approve-50");
        assert_eq!(fake.state().tags["arn:rule-2"][REQUEST], NOTHING);
        assert_eq!(fake.count("AddTags"), 2);

        let (plan, fake) = world(2);
        fake.state().tags.values_mut().for_each(|tags| drop(tags.insert(CLAIM.into(), "arn:other".into())));
        let error = ask(&fake.client(), &plan, "rollback").await.unwrap_err();
        assert_eq!((error.kind, fake.count("AddTags")), (Kind::Overtaken, 0));
    });
}
