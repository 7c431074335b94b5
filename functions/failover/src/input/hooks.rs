//! Hooks as they are typed, in the input or the deployment's parameters.

use serde::Deserialize;

use crate::model::hooks::Hooks;

/// What the deployment says, as the text of its parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfiguredHooks {
    /// JSON as in the input; empty for none.
    pub hooks: String,
    /// The ARNs of the functions that the state machine may invoke, without qualifiers and with commas
    /// between them; empty for none.
    pub functions: String,
}

/// Checks hooks and names the moment whose function is none.
pub(super) fn check(hooks: &Hooks) -> Result<(), String> {
    match hooks.each().find(|(_, arn)| function(arn).is_none()) {
        None => Ok(()),
        Some((moment, arn)) => Err(format!(
            "`hooks.{moment}`: {arn:?} is not the ARN of a Lambda function, such as \
             arn:aws:lambda:eu-central-1:123456789012:function:check-release:3"
        )),
    }
}

/// The ARN of a function without the version or alias at its end; nothing where it is none.
pub(crate) fn function(arn: &str) -> Option<&str> {
    let word = |text: &str, signs: &str, most: usize| {
        (1..=most).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    let parts: Vec<&str> = arn.split(':').collect();
    let (unqualified, qualifier) = parts.split_at_checked(7)?;
    let ["arn", partition, "lambda", region, account, "function", name] = *unqualified else { return None };
    let account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    if !(word(partition, "-", 20) && word(region, "-", 30) && account && word(name, "-_", 64)) {
        return None;
    }
    match *qualifier {
        [] => Some(arn),
        [qualifier] if word(qualifier, "-_$", 128) => arn.strip_suffix(qualifier)?.strip_suffix(':'),
        _ => None,
    }
}

pub(crate) fn configured_hooks(text: &str) -> Result<Hooks, String> {
    if text.is_empty() {
        return Ok(Hooks::default());
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let read: Result<Hooks, _> = serde_path_to_error::deserialize(&mut json);
    let hooks =
        read.map_err(|error| format!("the deployment's Hooks: {}: {}", error.path(), error.inner()))?;
    check(&hooks).map_err(|what| format!("the deployment's Hooks: {what}"))?;
    Ok(hooks)
}
