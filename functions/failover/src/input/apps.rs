//! Which apps an input is about, and what belongs to each of them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::check_name;
use crate::model::{Apps, MOST_APPS};

/// Checks their number and names.
pub(super) fn check(apps: &Apps) -> Result<(), String> {
    let names = apps.names();
    if names.is_empty() || names.len() > MOST_APPS {
        return Err(format!(
            "`app`: {} names; give 1 to {MOST_APPS}, and more apps to another run",
            names.len()
        ));
    }
    for (index, name) in names.iter().enumerate() {
        check_name("app", name)?;
        if names[..index].contains(name) {
            return Err(format!("`app`: {name} is named twice; name every app once"));
        }
    }
    Ok(())
}

/// What belongs to one app: given as it is where there is one, by the names of the apps where there
/// are several.
pub type Belongings = BTreeMap<String, Belonging>;

/// An entry of [`Belongings`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "neither a text nor, for several apps, an object by their names")]
pub enum Belonging {
    /// Of the only app.
    Text(String),
    /// Those of the app of this name.
    OfApp(BTreeMap<String, String>),
}
