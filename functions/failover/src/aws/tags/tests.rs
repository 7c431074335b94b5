//! What concerns an app stands on one of its groups and is written in one call; what is gone stands in no others' way.

use std::collections::BTreeMap;

use super::*;
use crate::aws::fake::{Fake, executions, world};
use crate::model::Plan;
use crate::model::error::ErrorKind;

fn run(future: impl Future) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        future.await;
    });
}

/// The tags of the only app.
fn tags_of(fake: &Fake, plan: &Plan) -> BTreeMap<String, String> {
    fake.state().tags[plan.apps[0].lock()].clone()
}

#[test]
fn an_app_is_claimed_recorded_and_given_back_by_one_call_each_whatever_its_routes() {
    run(async {
        let (mut plan, fake) = world(64);
        plan.release = Some("v2".into());
        plan.apps[0].release.clone_from(&plan.release);
        fake.strip(&plan);
        let (client, executions) = (fake.client(), executions("RUNNING"));
        let apps: Vec<&PlannedApp> = plan.held_apps().collect();
        let fence = Fence::now(15);
        claim(&client, &plan, &apps, async |lot| Ok((fence, lot.to_vec()))).await.unwrap();
        assert_eq!(fake.count("AddTags"), 1);
        let tags = tags_of(&fake, &plan);
        assert_eq!((&*tags[CLAIM], &*tags[REQUEST], &*tags[LIVE]), ("arn:execution", "", "prod1"));

        for _ in 0..2 {
            doubt(&client, &plan).await.unwrap();
            assert_eq!(fake.state().tags["arn:two"][RELEASE], "unproven:v2");
        }
        record((&client, &executions), &plan, "prod2").await.unwrap();
        assert_eq!(fake.count("AddTags"), 1 + 2 + 2, "the app and the standby's release");
        assert_eq!(fake.state().tags["arn:two"][RELEASE], "v2");
        let tags = tags_of(&fake, &plan);
        assert_eq!((&*tags[CLAIM], &*tags[LIVE]), ("arn:execution done", "prod2"));

        for (ending, left) in [("Halted", "arn:execution left"), ("Completed", "arn:execution released")] {
            fake.claim(&plan, "arn:execution");
            assert_eq!(release(&client, &plan, &plan.claim_after(ending)).await.unwrap().len(), 1);
            assert_eq!(tags_of(&fake, &plan)[CLAIM], left);
            // A second time there is nothing to give back.
            assert!(release(&client, &plan, &plan.claim_after(ending)).await.unwrap().is_empty());
        }
    });
}

#[test]
fn the_way_back_claims_anew_what_somebody_has_removed() {
    run(async {
        let (plan, fake) = world(1);
        let (client, running) = (fake.client(), executions("RUNNING"));
        assert!(!fence_back((&client, &running), &plan).await.unwrap().1);
        assert_eq!(fake.count("AddTags"), 0);
        fake.strip(&plan);
        // What goes forward does not go on.
        let error = claims::fence(&client, &plan).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AwsRefused);
        assert!(error.message.contains("failover:claim of arn:one was removed"), "{error}");
        assert!(fence_back((&client, &running), &plan).await.unwrap().1);
        assert_eq!(tags_of(&fake, &plan)[CLAIM], "arn:execution");

        // Not for one that was stopped, whose restore may be long over.
        fake.strip(&plan);
        let error = fence_back((&client, &executions("ABORTED")), &plan).await.unwrap_err();
        assert!(error.message.contains("was stopped"), "{error}");
        assert!(!tags_of(&fake, &plan).contains_key(CLAIM));
    });
}

#[test]
fn a_restore_writes_under_the_claim_of_its_run_only_once_it_is_its_own() {
    run(async {
        let (mut plan, fake) = world(1);
        plan.predecessors = vec!["arn:earlier".into()];
        fake.claim(&plan, "arn:earlier");
        let clients = (&fake.client(), &executions("RUNNING"));
        assert!(fence_back(clients, &plan).await.unwrap().1);
        assert_eq!(tags_of(&fake, &plan)[CLAIM], "arn:execution");
        fake.claim(&plan, "arn:earlier released");
        assert_eq!(fence_back(clients, &plan).await.unwrap_err().kind, ErrorKind::ExternalChange);
    });
}

#[test]
fn an_app_that_somebody_else_took_is_not_given_back_and_not_recorded() {
    run(async {
        let (plan, fake) = world(2);
        fake.claim(&plan, "arn:other");
        let client = fake.client();
        let error = record((&client, &executions("RUNNING")), &plan, "prod2").await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ExternalChange);
        assert!(release(&client, &plan, &plan.claim_after("Completed")).await.unwrap().is_empty());
        assert_eq!(tags_of(&fake, &plan)[CLAIM], "arn:other");
    });
}

#[test]
fn a_group_that_is_gone_stands_in_no_others_way() {
    run(async {
        let (_, fake) = world(1);
        let known: Vec<String> = (0..23).map(|number| format!("arn:group-{number}")).collect();
        for arn in &known {
            fake.state().tags.insert(arn.clone(), BTreeMap::new());
        }
        fake.state().tags.remove("arn:group-1");
        let arns: Vec<&str> = known.iter().map(String::as_str).collect();
        let marks = read(&fake.client(), &arns).await.unwrap();
        let gone: Vec<usize> = (0..marks.len()).filter(|number| marks[*number].is_none()).collect();
        assert_eq!((marks.len(), gone), (23, vec![1]));
        assert_eq!(fake.count("DescribeTags"), 2 + 20, "only those of its call are asked for one by one");
    });
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_gone() {
    run(async {
        let (plan, fake) = world(1);
        fake.state().refused = Some(("DescribeTags", "AccessDenied"));
        let error = read(&fake.client(), &[plan.apps[0].lock()]).await.unwrap_err();
        assert!(error.message.contains("AccessDenied"), "{error}");
    });
}

#[test]
fn what_is_asked_last_is_what_is_asked() {
    run(async {
        let (mut plan, fake) = world(1);
        let mut other = plan.apps[0].clone();
        (other.name, other.live_group, other.standby_group) =
            ("api".into(), "arn:three".into(), "arn:four".into());
        plan.apps.push(other);
        let tags = [(CLAIM.to_owned(), "arn:execution".to_owned()), (REQUEST.to_owned(), "pause".to_owned())];
        fake.state().tags.insert("arn:four".into(), tags.into());
        ask(&fake.client(), &plan, "approve-50").await.unwrap();
        assert_eq!(tags_of(&fake, &plan)[REQUEST], "approve-50");
        assert_eq!(fake.state().tags["arn:four"][REQUEST], NOTHING);
        assert_eq!(fake.count("AddTags"), 2);

        let (plan, fake) = world(1);
        fake.claim(&plan, "arn:other");
        let error = ask(&fake.client(), &plan, "rollback").await.unwrap_err();
        assert_eq!((error.kind, fake.count("AddTags")), (ErrorKind::ExternalChange, 0));
    });
}
