//! What a run probes, and where: settled here, before anything is touched.

use std::collections::BTreeMap;

use crate::input::probes::{ConfiguredProbes, configured_addresses, configured_probes};
use crate::input::{Input, address};
use crate::model::error::Error;
use crate::model::probe::{PUBLIC, Probing, STANDBY, listed};
use crate::model::{Operation, Plan, PlannedApp};

/// What the function can keep in the air at once, over all apps.
const MOST_REQUESTS: usize = 64;

/// The plan with what it probes, if the input or the deployment names probes. Neither a drain, which
/// may leave a dead standby, nor a restore does.
///
/// # Errors
/// `PlanRejected`, naming the field or the parameter of the deployment.
pub fn planned(plan: Plan, input: &Input, configured: &ConfiguredProbes) -> Result<Plan, Error> {
    if matches!(input.operation, Operation::Drain | Operation::Restore) {
        return Ok(plan);
    }
    let refused = |what| Error::rejected(format!("{}: {what}. Nothing was touched.", plan.app));
    let Some(probing) = probing(&plan, input, configured).map_err(refused)? else { return Ok(plan) };
    let mut plan = plan;
    plan.checks.push(probing.in_words());
    plan.probing = Some(probing);
    if before_the_run(&plan) {
        plan.checks.push(format!("they must pass on {} before any user is moved", plan.standby));
    }
    Ok(plan)
}

/// Whether the standby is probed before the run begins: where users are moved to a release, or to a
/// fleet that was deployed to. A failback is in a hurry and goes to a fleet that users know.
pub fn before_the_run(plan: &Plan) -> bool {
    matches!(plan.operation, Operation::Shift | Operation::Balance)
        && plan.probing.as_ref().is_some_and(|probing| probing.of_standby(plan).next().is_some())
}

fn probing(plan: &Plan, input: &Input, configured: &ConfiguredProbes) -> Result<Option<Probing>, String> {
    let probes = match &input.probes {
        Some(probes) => probes.clone(),
        None => configured_probes(&configured.probes)?,
    };
    if probes.is_empty() {
        return Ok(None);
    }
    let mut addresses = BTreeMap::new();
    for app in &plan.apps {
        let of_app = addresses_of(plan, input, configured, app)?;
        addresses.extend(of_app.map(|of_app| (app.name.clone(), of_app)));
    }
    if addresses.is_empty() {
        return Ok(None);
    }
    let requests = probes.len() * addresses.values().map(BTreeMap::len).sum::<usize>();
    if requests > MOST_REQUESTS {
        return Err(format!(
            "`probes`: {requests} requests in a round are more than {MOST_REQUESTS}; give fewer probes or `addresses`"
        ));
    }
    Ok(Some(Probing { probes, addresses, loopback: configured.loopback == "allowed" }))
}

/// Where the probes of an app go; nothing where that could only be by a test-traffic rule that leads astray.
fn addresses_of(
    plan: &Plan,
    input: &Input,
    configured: &ConfiguredProbes,
    app: &PlannedApp,
) -> Result<Option<BTreeMap<String, String>>, String> {
    let (whose, mut addresses) = match input.addresses_of(&app.name)? {
        Some(addresses) => ("`addresses`", addresses),
        None if plan.is_lockstep() => {
            return Err(
                "`probes` of several apps need `addresses` for each, by their names; or give \"probes\": []"
                    .into(),
            );
        }
        None => ("the deployment's ProbeAddresses", configured_addresses(&configured.addresses)?),
    };
    if let Some(astray) = plan.testers_astray(app).filter(|_| addresses.contains_key(STANDBY)) {
        // What is wrong for testers never holds up the way back.
        if input.operation != Operation::Failback {
            return Err(format!("{whose}: {STANDBY}: {astray}"));
        }
        addresses.remove(STANDBY);
        if addresses.is_empty() {
            return Ok(None);
        }
    }
    let known = [PUBLIC, STANDBY, &plan.live, &plan.standby];
    if addresses.is_empty() {
        return Err(format!(
            "`probes` have nowhere to go; give `addresses` for one or more of {}, such as \
             {{\"public\": \"https://shop.example\"}}",
            listed(known)
        ));
    }
    for (place, text) in &addresses {
        if !known.contains(&place.as_str()) {
            return Err(format!("{whose}: {place:?} is none of {}", listed(known)));
        }
        address::origin(text, configured.loopback == "allowed")
            .map_err(|what| format!("{whose}: {place}: {what}"))?;
    }
    Ok(Some(addresses))
}

#[cfg(test)]
mod tests;
