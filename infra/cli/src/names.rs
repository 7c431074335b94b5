//! Names: of apps, by the target groups of a deployment, and of executions.

use std::collections::{BTreeMap, BTreeSet};

use failover::model::Operation;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::settings::Settings;

/// Characters that Step Functions takes as the name of an execution.
const LONGEST_EXECUTION: usize = 80;

/// How alike two names have to be for the one to be offered in place of the other, from 0 to 1: so much
/// of the longer one is right (Damerau and Levenshtein).
const ALIKE: f64 = 0.5;

/// The apps of a deployment among the target groups of an account, each with the fleets that it has
/// a target group of.
pub fn apps<'a>(
    settings: &Settings,
    groups: impl Iterator<Item = &'a str>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut apps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for group in groups {
        for (fleet, part) in settings.fleet_parts() {
            if let Some(app) = app_of(&settings.pattern.replace("{fleet}", part), group) {
                apps.entry(app.to_owned()).or_default().insert(fleet.to_owned());
            }
        }
    }
    apps
}

/// What stands for `{app}` in a name.
fn app_of<'a>(pattern: &str, group: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once("{app}")?;
    // A pattern may hold it more than once.
    let length = group.len().checked_sub(pattern.replace("{app}", "").len())?;
    let app = group.strip_prefix(before)?.get(..length / pattern.matches("{app}").count())?;
    let whole = !app.is_empty() && format!("{before}{app}{}", after.replace("{app}", app)) == group;
    whole.then_some(app)
}

/// The known name that is most like one that was typed, if any is like it.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness =
        |name: &str| strsim::normalized_damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase());
    let alike =
        known.into_iter().map(|name| (likeness(name), name)).filter(|(likeness, _)| *likeness >= ALIKE);
    alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

/// The name of an execution, such as `web-shift-v42-20261130-1031`, in UTC; with `seconds` where that
/// one is taken. It becomes part of a tag, so it holds letters, digits and hyphens only.
pub fn execution(
    apps: &[String],
    operation: Operation,
    dry_run: bool,
    release: Option<&str>,
    at: Timestamp,
    seconds: bool,
) -> String {
    let at = at.to_zoned(TimeZone::UTC).strftime(if seconds { "%Y%m%d-%H%M%S" } else { "%Y%m%d-%H%M" });
    let apps = match apps {
        [app] => app.clone(),
        [first, others @ ..] => format!("{first}-and-{}-more", others.len()),
        [] => String::new(),
    };
    let word = if dry_run { "plan" } else { operation.word() };
    let release = release.map(|release| format!("-{release}")).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let begin: String = format!("{apps}-{word}{release}").chars().map(plain).collect();
    let end = format!("-{at}");
    let begin: String = begin.chars().take(LONGEST_EXECUTION - end.len()).collect();
    format!("{}{end}", begin.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pattern: &str) -> Settings {
        Settings::parse(&format!("LoadBalancerName=shop\nTargetGroupPattern={pattern}")).unwrap()
    }

    #[test]
    fn apps_are_found_by_their_target_groups() {
        let groups =
            ["shop-web-01-tg", "shop-web-02-tg", "shop-my-portal-01-tg", "other-web-01-tg", "shop--01-tg"];
        let apps = apps(&settings("shop-{app}-{fleet}-tg"), groups.into_iter());
        let both = BTreeSet::from(["prod1".to_owned(), "prod2".to_owned()]);
        let one = BTreeSet::from(["prod1".to_owned()]);
        assert_eq!(apps, BTreeMap::from([("my-portal".to_owned(), one), ("web".to_owned(), both)]));
    }

    #[test]
    fn a_pattern_may_name_the_app_twice_or_not_at_all() {
        let of = |pattern: &str, group| apps(&settings(pattern), [group].into_iter()).into_keys().next();
        assert_eq!(of("{app}-{fleet}-{app}", "web-01-web"), Some("web".to_owned()));
        assert_eq!(of("{app}-{fleet}-{app}", "web-01-wob"), None);
        assert_eq!(of("shop-{fleet}", "shop-01"), None);
        assert_eq!(of("{app}-{fleet}", "-01"), None);
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let known = ["portal", "web", "checkout"];
        for (typed, offered) in [
            ("wbe", Some("web")),
            ("Portal", Some("portal")),
            ("chekout", Some("checkout")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), offered, "{typed}");
        }
    }

    #[test]
    fn executions_have_readable_names() {
        let at: Timestamp = "2026-11-30T10:31:05Z".parse().unwrap();
        let name = |apps: &[&str], release, seconds| {
            let apps: Vec<String> = apps.iter().map(ToString::to_string).collect();
            execution(&apps, Operation::Shift, false, release, at, seconds)
        };
        assert_eq!(name(&["web"], Some("v42"), false), "web-shift-v42-20261130-1031");
        assert_eq!(name(&["web"], None, true), "web-shift-20261130-103105");
        assert_eq!(
            name(&["web", "portal"], Some("v4.2 (é)"), false),
            "web-and-1-more-shift-v4-2-20261130-1031"
        );
        let long = name(&["web"], Some(&"x".repeat(200)), true);
        assert!(long.len() == LONGEST_EXECUTION && long.ends_with("-20261130-103105"), "{long}");
        assert_eq!(
            execution(&["web".into()], Operation::Drain, true, None, at, false),
            "web-plan-20261130-1031"
        );
    }
}
