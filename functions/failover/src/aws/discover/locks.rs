//! What the tags of the apps say, and what the histories of the executions say that stand there.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_sfn::Client as StepFunctions;

use super::Asking;
use crate::aws::history::{self, Come};
use crate::aws::tags::Marks;
use crate::aws::{claims, tags};
use crate::model::Operation;
use crate::model::error::Error;
use crate::model::hold::{Behind, Reached, behind};
use crate::model::record::Record;
use crate::plan::{FoundApp, FoundBehind, FoundLock};

/// Fills in who holds each app, what its fleets run, and what is to be put back on it.
pub(super) async fn find(
    client: &Client,
    step_functions: &StepFunctions,
    asking: Asking<'_>,
    apps: &mut [FoundApp],
) -> Result<(), Error> {
    let groups =
        apps.iter().flat_map(|app| app.fleets.each_ref().map(|fleet| fleet.target_group_arn.clone()));
    let groups: Vec<String> = groups.collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let marks = tags::read(client, &groups).await?.into_iter().map(Option::unwrap_or_default);
    let marks: Vec<Marks> = marks.collect();
    let held = marks.iter().map(|marks| marks.held.clone());
    let claims = claims::owners(step_functions, held, asking.execution).await?;
    for (app, (marks, claims)) in apps.iter_mut().zip(marks.chunks(2).zip(claims.chunks(2))) {
        for (fleet, marks) in app.fleets.iter_mut().zip(marks) {
            fleet.release.clone_from(&marks.release);
        }
        // The lock is the first by its ARN.
        let lock = usize::from(app.fleets[1].target_group_arn < app.fleets[0].target_group_arn);
        app.lock = FoundLock {
            live_tag: marks[lock].live.clone(),
            held: marks[lock].held.clone(),
            claim: claims[lock].clone(),
            other: claims[1 - lock].clone(),
            behind: None,
        };
        if asking.input.operation == Operation::Restore {
            app.lock.behind = left_behind(step_functions, asking, app).await?;
        }
    }
    Ok(())
}

/// What is to be put back on an app.
async fn left_behind(
    client: &StepFunctions,
    asking: Asking<'_>,
    app: &FoundApp,
) -> Result<Option<FoundBehind>, Error> {
    let (execution, interrupted) = match behind(app.lock.held.as_ref(), &app.lock.claim, asking.chain) {
        Behind::Nothing => return Ok(None),
        Behind::Interrupted(execution) => (execution, true),
        Behind::LeftToPeople(execution) => (execution, false),
        Behind::Unknown => return of_chain(client, asking.chain, app).await,
    };
    let reached = app.lock.held.as_ref().map_or(Reached::Nothing, |held| held.reached);
    let record = history::record_of(client, &execution).await?;
    let record =
        record.unwrap_or_else(|| Err("its history shows no plan, so it cannot have claimed anything".into()));
    Ok(Some(FoundBehind { execution, interrupted, reached, record }))
}

/// The same where the claim was removed: of the newest execution of the chain that had planned to move the app,
/// unless that one has given it back.
async fn of_chain(
    client: &StepFunctions,
    chain: &[String],
    app: &FoundApp,
) -> Result<Option<FoundBehind>, Error> {
    for execution in chain {
        let come = history::come(client, execution).await?;
        // One whose `ClaimRoutes` is not over has written no weights.
        if come < Come::Claimed {
            continue;
        }
        let Some(record) = history::record_of(client, execution).await? else { continue };
        if record.as_ref().is_ok_and(|record| record.routes_of(&app.name).next().is_none()) {
            continue;
        }
        let reached = match come {
            Come::Released => return Ok(None),
            Come::Swapped if record.as_ref().is_ok_and(Record::has_stages) => Reached::Done,
            _ => Reached::Nothing,
        };
        return Ok(Some(FoundBehind { execution: execution.clone(), interrupted: true, reached, record }));
    }
    Ok(None)
}
