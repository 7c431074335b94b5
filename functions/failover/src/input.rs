//! The input of an execution: what an operator, a pipeline or a schedule types.
//!
//! Reading it either succeeds as a whole or names the field and the way out.

pub mod address;
mod apps;
pub mod hooks;
pub mod probes;
mod stages;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

pub use self::apps::{Belonging, Belongings};
pub use self::stages::StageInput;
use self::stages::{check_bake, check_falling, check_stages};
use crate::duration::Seconds;
use crate::model::claim::fits_a_tag;
use crate::model::error::Error;
use crate::model::hooks::Hooks;
use crate::model::probe::Probe;
use crate::model::weights::Percent;
use crate::model::{Apps, Operation, Refuse, Unanswered, release};
use crate::verdict::Criteria;

/// What Step Functions calls the execution that started another one, in the input of that one.
pub const STARTED_BY_EXECUTION: &str = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID";

/// The input of an execution, fields as in `infra/guide/input.md`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    /// The application, one pair of target groups; or several that move in lockstep.
    pub app: Apps,
    /// What to do; a shift where left out.
    #[serde(default)]
    pub operation: Operation,
    /// Percent on the standby, stage by stage.
    pub stages: Option<Vec<StageInput>>,
    /// How long each stage is watched.
    #[serde(default = "five_minutes")]
    pub bake: Seconds,
    /// How often it is looked at.
    #[serde(default = "thirty_seconds")]
    pub poll: Seconds,
    /// The `CloudWatch` period of the counts.
    #[serde(default = "one_minute")]
    pub period: Seconds,
    /// The stages that begin only once somebody approves, by the standby's percent.
    #[serde(default)]
    pub approve_before: BTreeSet<Percent>,
    /// How long an approval is waited for.
    #[serde(default = "four_hours")]
    pub approval_timeout: Seconds,
    /// What becomes of the run where nobody answers.
    #[serde(default)]
    pub on_approval_timeout: Unanswered,
    /// What the standby runs, by the operator's own name for it.
    pub release: Option<String>,
    /// Target group name or ARN of each fleet; the deployment's naming pattern where left out.
    pub fleets: Option<Belongings>,
    /// Rules that stay as they are, such as a preview of one fleet: by a host name, or by ARN.
    #[serde(default)]
    pub except: Vec<String>,
    /// Which fleet the operator takes for the standby.
    pub standby: Option<String>,
    /// For a restore: the interrupted execution, which says which app and fleets it was about.
    pub execution: Option<String>,
    /// For a balance: go on although the fleets run different releases.
    #[serde(default)]
    pub force: bool,
    /// Which load beyond what the fleet that gets more has carried refuses the run.
    #[serde(default)]
    pub refuse_load: Refuse,
    /// What a healthy stage means.
    #[serde(default)]
    pub criteria: Criteria,
    /// HTTP requests that show whether the application works; those of the deployment where left out.
    pub probes: Option<Vec<Probe>>,
    /// Where they go: `public` and fleets by name; the addresses of the deployment where left out.
    pub addresses: Option<Belongings>,
    /// Functions that are called at moments of the run; those of the deployment where left out.
    pub hooks: Option<Hooks>,
    /// Why the run starts outside the deployment's windows.
    pub r#override: Option<String>,
    /// Who or what started the run, for the notices.
    pub started_by: Option<String>,
    /// The execution of another state machine that started this one, as Step Functions itself adds it: who
    /// started the run, where `startedBy` does not say.
    #[serde(rename = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID")]
    pub started_by_execution: Option<String>,
    /// Where the run cannot start: succeed and say why, instead of failing. For schedules; the state
    /// machine reads it.
    #[serde(default)]
    pub skip_if_blocked: bool,
    /// Return the plan and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

const fn five_minutes() -> Seconds {
    Seconds(300)
}
const fn thirty_seconds() -> Seconds {
    Seconds(30)
}
const fn four_hours() -> Seconds {
    Seconds(4 * 3600)
}
const fn one_minute() -> Seconds {
    Seconds(60)
}

impl Input {
    /// Reads and checks the input as far as it can be checked on its own.
    ///
    /// # Errors
    /// `PlanRejected`, naming the field and what it takes.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        if !value.is_object() {
            return Err(Error::rejected(format!(
                "The input must be a JSON object such as {{\"app\": \"web\"}}, not {}. Nothing was touched.",
                kind_of(value)
            )));
        }
        let input: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { String::new() } else { format!("`{path}`: ") };
            Error::rejected(format!("{field}{}. Correct the input; nothing was touched.", error.inner()))
        })?;
        input.check().map_err(|what| Error::rejected(format!("{what}. Nothing was touched.")))?;
        Ok(input)
    }

    /// The target groups of an app, if the input names any.
    ///
    /// # Errors
    /// A sentence where they are not given for this app and no other.
    pub fn fleets_of(&self, app: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        self.belongings("fleets", self.fleets.as_ref(), app)
    }

    /// Where the probes of an app go, if the input says so.
    ///
    /// # Errors
    /// As [`Input::fleets_of`].
    pub fn addresses_of(&self, app: &str) -> Result<Option<BTreeMap<String, String>>, String> {
        self.belongings("addresses", self.addresses.as_ref(), app)
    }

    fn belongings(
        &self,
        field: &str,
        given: Option<&Belongings>,
        app: &str,
    ) -> Result<Option<BTreeMap<String, String>>, String> {
        let (Some(given), names) = (given, self.app.names()) else { return Ok(None) };
        if let [_] = names {
            let text = |(name, value): (&String, &Belonging)| match value {
                Belonging::Text(text) => Ok((name.clone(), text.clone())),
                Belonging::OfApp(_) => Err(format!("`{field}.{name}`: an object by app is for several apps")),
            };
            return given.iter().map(text).collect::<Result<_, _>>().map(Some);
        }
        if let Some(unknown) = given.keys().find(|name| !names.contains(name)) {
            return Err(format!(
                "`{field}`: {} is none of the apps; with several apps give an object for each, by its name",
                quoted(unknown)
            ));
        }
        match given.get(app) {
            Some(Belonging::OfApp(of_app)) => Ok(Some(of_app.clone())),
            _ => Err(format!("`{field}`: there is no object for {app}; with several apps each needs one")),
        }
    }

    /// A drain may leave a dead standby, and a restore does not look at applications.
    fn check_probes(&self) -> Result<(), String> {
        let given = [("probes", self.probes.is_some()), ("addresses", self.addresses.is_some())];
        let field = given.into_iter().find_map(|(field, given)| given.then_some(field));
        match (field, self.operation) {
            (Some(field), Operation::Drain | Operation::Restore) => {
                let word = self.operation.word();
                Err(format!("`{field}`: a {word} probes no application; leave the field out"))
            }
            _ => probes::check(self.probes.as_deref().unwrap_or_default()),
        }
    }

    fn check(&self) -> Result<(), String> {
        apps::check(&self.app)?;
        if let Some(standby) = &self.standby {
            check_name("standby", standby)?;
        }
        if let Some(release) = &self.release {
            check_release(release)?;
        }
        for (field, line) in [
            ("startedBy", &self.started_by),
            (STARTED_BY_EXECUTION, &self.started_by_execution),
            ("override", &self.r#override),
        ] {
            if let Some(line) = line {
                check_line(field, line)?;
            }
        }
        for app in self.app.names() {
            if let Some(fleets) = self.fleets_of(app)? {
                check_fleets(&fleets)?;
            }
            self.addresses_of(app)?;
        }
        if self.execution.is_some() && self.operation != Operation::Restore {
            return Err("`execution`: only a restore is about an execution; leave the field out".into());
        }
        if !self.except.is_empty() && self.operation == Operation::Restore {
            return Err("`except`: a restore puts back what a run has changed; leave the field out".into());
        }
        if self.force && self.operation != Operation::Balance {
            return Err("`force`: only a balance can be forced; leave the field out".into());
        }
        if self.approval_timeout.0 == 0 || self.approval_timeout.0 > 24 * 3600 {
            return Err(format!("`approvalTimeout`: {} is not between 1s and 24h", self.approval_timeout));
        }
        self.check_probes()?;
        self.hooks.as_ref().map_or(Ok(()), hooks::check)?;
        check_times(self.bake, self.poll, self.period)?;
        self.criteria.check()?;
        match (&self.stages, self.operation) {
            (None, _) => Ok(()),
            (Some(stages), Operation::Shift) => check_stages(stages, Percent::ALL, self.period),
            (Some(stages), Operation::Balance) => check_stages(stages, Percent::HALF, self.period),
            (Some(stages), Operation::Drain) => check_falling(stages, self.period),
            (Some(_), Operation::Failback | Operation::Restore) => Err(format!(
                "`stages`: {} goes in one step and takes no stages; leave the field out",
                self.operation.word()
            )),
        }
    }
}

/// The execution that a restore without an `app` is about: what the rule on stopped executions
/// sends.
pub fn restores(input: &Value) -> Option<&str> {
    let restore = input.get("operation")? == "restore" && input.get("app").is_none();
    restore.then(|| input.get("execution")?.as_str()).flatten()
}

/// The input of a restore of `execution`, which was started with `stopped`: the same app, fleets and hooks.
pub fn restore_of(execution: &str, stopped: &Value) -> Value {
    let kept =
        ["app", "fleets", "hooks"].into_iter().filter_map(|k| Some((k.to_owned(), stopped.get(k)?.clone())));
    let own = [("operation", "restore"), ("execution", execution)];
    kept.chain(own.map(|(k, v)| (k.to_owned(), v.into()))).collect()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Names of apps and fleets become parts of target group names, which allow no more than this.
fn check_name(field: &str, name: &str) -> Result<(), String> {
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if name.is_empty() || name.len() > 32 || !allowed || name.starts_with('-') || name.ends_with('-') {
        return Err(format!(
            "`{field}`: {} is not a name: use 1 to 32 letters, digits and inner hyphens",
            quoted(name)
        ));
    }
    Ok(())
}

/// A release becomes the value of a tag, perhaps with a mark: AWS allows 256 characters of a limited set.
fn check_release(release: &str) -> Result<(), String> {
    if release.trim().is_empty() || !fits_a_tag(release) || release.chars().count() > release::LONGEST {
        return Err(format!(
            "`release`: {} cannot be kept in a tag: use 1 to {} letters, digits, spaces and _ . : / = + - @",
            quoted(release),
            release::LONGEST
        ));
    }
    if release::is_mark(release) {
        return Err(format!("`release`: {} is how a tag says that a release is unproven", quoted(release)));
    }
    Ok(())
}

/// What people read as one line.
fn check_line(field: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > 256 || text.chars().any(char::is_control) {
        return Err(format!("`{field}`: {} is not one line of 1 to 256 characters", quoted(text)));
    }
    Ok(())
}

fn check_fleets(fleets: &BTreeMap<String, String>) -> Result<(), String> {
    if fleets.len() != 2 {
        return Err(format!(
            "`fleets`: {} given, exactly two are needed, such as {{\"prod1\": \"shop-web-01-tg\", \"prod2\": \"shop-web-02-tg\"}}",
            fleets.len()
        ));
    }
    for (name, group) in fleets {
        check_name("fleets", name)?;
        if !group.starts_with("arn:") {
            check_name(&format!("fleets.{name}"), group)?;
        }
    }
    let mut groups = fleets.values();
    if groups.next() == groups.next() {
        return Err("`fleets`: both fleets name the same target group; give each its own".into());
    }
    Ok(())
}

fn check_times(bake: Seconds, poll: Seconds, period: Seconds) -> Result<(), String> {
    if !(matches!(period.0, 1 | 5 | 10 | 30) || (period.0 > 0 && period.0.is_multiple_of(60))) {
        return Err(format!(
            "`period`: {period} is not a CloudWatch period; use 1s, 5s, 10s, 30s or a multiple of 60s"
        ));
    }
    if period.0 > 3600 {
        return Err(format!("`period`: {period} is too coarse to watch a release; use at most 1h"));
    }
    if poll.0 == 0 {
        return Err("`poll`: a poll every 0s never waits; use at least 1s, such as 30s".into());
    }
    check_bake("bake", bake, period)
}

/// Text from outside, shortened and escaped so that a message stays one readable line.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests;
