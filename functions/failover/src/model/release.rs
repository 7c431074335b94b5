//! What a fleet runs: proven, or not known.
//!
//! The tag `failover:release` of its target group remembers it. Whoever deploys writes the release's name
//! there, or names it in the input. From the moment when a shift to the fleet begins the tag says that the
//! release is unproven, and when the shift has succeeded that it is proven. A drain makes the fleet ready
//! for a deployment: what it runs from then on is unknown until somebody says so. Runs that are stopped or
//! rolled back leave what was written last, so that nothing is ever taken for known that is not.

use std::fmt;

use crate::model::{Operation, Plan, PlannedApp};

/// What the tag says of a release that nothing proves; its name follows behind a colon, if it has one.
const UNPROVEN: &str = "unproven";

/// The longest name of a release, in characters: with the mark it must fit into a tag.
pub const LONGEST: usize = 256 - UNPROVEN.len() - 1;

/// What a fleet runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// Somebody said so, or a run has shown it.
    Proven(String),
    /// A shift of this release began and did not succeed.
    Unproven(String),
    /// Nobody has said so since the fleet could be deployed to.
    Unknown,
}

impl Release {
    /// From the value of the tag, if there is one.
    pub fn read(tag: Option<&str>) -> Self {
        let Some(tag) = tag.map(str::trim).filter(|tag| !tag.is_empty()) else { return Self::Unknown };
        match tag.strip_prefix(UNPROVEN) {
            Some("") => Self::Unknown,
            Some(rest) => match rest.strip_prefix(':') {
                Some(name) => Self::Unproven(name.to_owned()),
                None => Self::Proven(tag.to_owned()),
            },
            None => Self::Proven(tag.to_owned()),
        }
    }

    /// The value of the tag.
    pub fn tag(&self) -> String {
        match self {
            Self::Proven(name) => name.clone(),
            Self::Unproven(name) => format!("{UNPROVEN}:{name}"),
            Self::Unknown => UNPROVEN.to_owned(),
        }
    }

    /// Its name, if it is proven.
    pub fn proven(&self) -> Option<&str> {
        match self {
            Self::Proven(name) => Some(name),
            Self::Unproven(_) | Self::Unknown => None,
        }
    }

    /// Its name, proven or not.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Proven(name) | Self::Unproven(name) => Some(name),
            Self::Unknown => None,
        }
    }

    fn unproven(name: Option<&String>) -> Self {
        name.map_or(Self::Unknown, |name| Self::Unproven(name.clone()))
    }
}

/// In words, for people.
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven(name) => write!(f, "runs {name}"),
            Self::Unproven(name) => {
                write!(f, "may run {name}, whose shift did not succeed, or what was deployed since")
            }
            Self::Unknown => f.write_str("runs what nobody has named since it could be deployed to"),
        }
    }
}

/// Whether the name of a release would be taken for the mark of one that is unproven.
pub fn is_mark(name: &str) -> bool {
    Release::read(Some(name)) != Release::Proven(name.trim().to_owned())
}

/// What the tag of a standby says from before its first request of the run on, if the run changes it.
pub fn as_it_begins(plan: &Plan, app: &PlannedApp) -> Option<Release> {
    match plan.operation {
        Operation::Shift => Some(Release::unproven(app.release.as_ref())),
        Operation::Balance => plan.release.as_ref().map(|_| Release::unproven(app.release.as_ref())),
        Operation::Drain | Operation::Failback | Operation::Restore => None,
    }
}

/// What it says once the run has succeeded, if the run changes it.
pub fn as_it_succeeds(plan: &Plan, app: &PlannedApp) -> Option<Release> {
    match plan.operation {
        Operation::Shift => app.release.clone().map(Release::Proven),
        Operation::Balance | Operation::Failback => plan.release.clone().map(Release::Proven),
        Operation::Drain => Some(Release::Unknown),
        Operation::Restore => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing;

    #[test]
    fn a_tag_says_what_is_proven_and_what_is_not() {
        for (tag, says) in [
            (Some("v3"), Release::Proven("v3".into())),
            (Some("unproven:v3"), Release::Unproven("v3".into())),
            (Some("unproven"), Release::Unknown),
            (Some("unprovenance"), Release::Proven("unprovenance".into())),
            (Some(" "), Release::Unknown),
            (None, Release::Unknown),
        ] {
            assert_eq!(Release::read(tag), says, "{tag:?}");
        }
    }

    #[test]
    fn only_what_was_named_is_ever_proven() {
        let plan = |operation: &str, told: Option<&str>, app: Option<&str>| {
            let mut plan = testing::plan(json!({ "operation": operation, "release": told }));
            plan.apps[0].release = app.map(Into::into);
            let app = &plan.apps[0];
            [as_it_begins(&plan, app), as_it_succeeds(&plan, app)].map(|what| what.map(|what| what.tag()))
        };
        let tags = |tags: [Option<&str>; 2]| tags.map(|tag| tag.map(str::to_owned));
        for named in [None, Some("v3")] {
            assert_eq!(plan("shift", named, Some("v3")), tags([Some("unproven:v3"), Some("v3")]));
        }
        assert_eq!(plan("shift", None, None), tags([Some("unproven"), None]));
        assert_eq!(plan("balance", None, Some("v3")), tags([None, None]));
        assert_eq!(plan("balance", Some("v3"), Some("v3")), tags([Some("unproven:v3"), Some("v3")]));
        assert_eq!(plan("drain", Some("v3"), Some("v3")), tags([None, Some("unproven")]));
        assert_eq!(plan("failback", None, Some("v2")), tags([None, None]));
    }

    proptest! {
        /// What may be given as a name comes back from every tag that is written of it.
        #[test]
        fn a_tag_holds_what_was_written(name in "[a-zA-Z0-9_.:/=+@-]{1,247}") {
            prop_assume!(!is_mark(&name));
            for release in [Release::Proven(name.clone()), Release::Unproven(name.clone()), Release::Unknown] {
                prop_assert!(release.tag().chars().count() <= 256);
                prop_assert_eq!(Release::read(Some(&release.tag())), release);
            }
        }
    }
}
