//! Rules that are meant to stay as they are: a preview of one fleet, by a host name of its own.

use std::borrow::Cow;

use super::{Found, FoundApp, FoundRoute, Refusal};
use crate::input::Input;

/// What was found without the rules that the input excepts, and their ARNs.
///
/// # Errors
/// Where a name fits no rule of the apps, or one by which users of both fleets come.
pub(super) fn leave_out<'a>(
    input: &Input,
    found: &'a Found,
) -> Result<(Cow<'a, Found>, Vec<String>), Refusal> {
    if input.except.is_empty() {
        return Ok((Cow::Borrowed(found), Vec::new()));
    }
    let is_named = |route: &FoundRoute| input.except.iter().any(|name| names(name, route));
    if let Some(unknown) = input.except.iter().find(|name| !found.routes().any(|route| names(name, route))) {
        let known: Vec<&str> = found.routes().map(|route| route.label.as_str()).collect();
        return Err(format!(
            "`except`: no rule of the app is called {unknown:?}; give a host name of a rule, its ARN, or one of: {}",
            known.join(", ")
        )
        .into());
    }
    let mut rest = found.clone();
    let mut excepted = Vec::new();
    for app in &mut rest.apps {
        let (out, routes) = std::mem::take(&mut app.routes).into_iter().partition(is_named);
        app.routes = routes;
        for route in out {
            check_one_fleet(app, &route).map_err(Refusal::of(app))?;
            excepted.push(route.rule_arn);
        }
    }
    Ok((Cow::Owned(rest), excepted))
}

fn names(name: &str, route: &FoundRoute) -> bool {
    let known_as = [&route.rule_arn, &route.arn, &route.label];
    known_as.into_iter().chain(&route.hosts).any(|known| known == name)
}

/// A rule that both fleets answer has users whom a run would leave behind.
fn check_one_fleet(app: &FoundApp, route: &FoundRoute) -> Result<(), String> {
    if route.groups.iter().filter(|group| group.weight > 0).count() == 1 {
        return Ok(());
    }
    Err(format!(
        "`except`: {} does not send everything to one target group, so its users would be left between {} and {}; \
         leave it out of the field",
        route.label, app.fleets[0].name, app.fleets[1].name
    ))
}
