//! Which apps a run is about.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// One app by its name, or several that move in lockstep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Apps {
    /// One.
    One(String),
    /// Several, in the order in which they were given.
    Several(Vec<String>),
}

impl Apps {
    /// Their names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// `web`, `web and portal`, or the first of many.
impl fmt::Display for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            [first @ .., last] if first.len() < APPS_IN_WORDS => {
                let first = first.join(", ");
                f.write_str(&first)?;
                f.write_str(if first.is_empty() { "" } else { " and " })?;
                f.write_str(last)
            }
            names => {
                let shown = names.iter().take(APPS_IN_WORDS - 1).cloned().collect::<Vec<_>>().join(", ");
                write!(f, "{shown} and {} more", names.len() - names.len().min(APPS_IN_WORDS - 1))
            }
        }
    }
}

/// So many apps move in lockstep at most: what a poll asks of AWS grows with each.
pub const MOST_APPS: usize = 16;

/// As many routes as a run moves, of all its apps: so many are shown to fit into what a state hands on, into AWS's
/// buckets and into the time of the functions.
pub const MOST_ROUTES: usize = 64;

/// More names than these are counted in a sentence.
const APPS_IN_WORDS: usize = 4;

impl<'de> Deserialize<'de> for Apps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AppsVisitor)
    }
}

/// Written out, since a derived untagged enum could only say that no variant matched.
struct AppsVisitor;

impl<'de> de::Visitor<'de> for AppsVisitor {
    type Value = Apps;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an app, or a list of names")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Apps, E> {
        Ok(Apps::One(name.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Apps, A::Error> {
        Vec::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Apps::Several)
    }
}
