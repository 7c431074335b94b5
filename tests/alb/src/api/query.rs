//! Parameters of the AWS query protocol: nested values written as paths.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::error::ApiError;

/// All parameters of one call.
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn new(pairs: &[(String, String)]) -> Self {
        Self(pairs.iter().cloned().collect())
    }

    pub(super) fn root(&self) -> Scope<'_> {
        Scope { parameters: self, prefix: String::new() }
    }

    /// Whether there is a value at `path` or below it.
    fn has(&self, path: &str) -> bool {
        let below = format!("{path}.");
        self.0.contains_key(path)
            || self.0.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below))
    }
}

/// A structure among the parameters.
pub(super) struct Scope<'a> {
    parameters: &'a Parameters,
    /// Empty, or a path that ends with a dot.
    prefix: String,
}

impl<'a> Scope<'a> {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.parameters.0.get(&self.path(name)).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::validation(format!(
                "1 validation error detected: '{}' must not be null",
                self.path(name)
            ))
        })
    }

    /// A number or a boolean.
    pub(super) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::validation(format!("'{}' cannot have the value '{text}'", self.path(name)))
                })
            })
            .transpose()
    }

    /// A number within bounds.
    pub(super) fn within(&self, name: &str, low: u32, high: u32) -> Result<Option<u32>, ApiError> {
        let value: Option<i64> = self.parse(name)?;
        let Some(value) = value else { return Ok(None) };
        u32::try_from(value).ok().filter(|value| (low..=high).contains(value)).map(Some).ok_or_else(|| {
            ApiError::validation(format!(
                "'{}' must be between {low} and {high}, not {value}",
                self.path(name)
            ))
        })
    }

    /// Whether a list or structure was given at all; an empty list counts.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parameters.has(&self.path(name))
    }

    pub(super) fn nested(&self, name: &str) -> Option<Scope<'a>> {
        let path = self.path(name);
        self.parameters.has(&path).then(|| Scope { parameters: self.parameters, prefix: format!("{path}.") })
    }

    /// The members of a list of structures.
    pub(super) fn members(&self, name: &str) -> Vec<Scope<'a>> {
        let path = self.path(name);
        (1..=u32::MAX)
            .map(|index| format!("{path}.member.{index}"))
            .take_while(|member| self.parameters.has(member))
            .map(|member| Scope { parameters: self.parameters, prefix: format!("{member}.") })
            .collect()
    }

    /// The members of a list of strings.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        let path = self.path(name);
        (1..).map_while(|index| self.parameters.0.get(&format!("{path}.member.{index}")).cloned()).collect()
    }

    /// The entries of a map of strings.
    pub(super) fn map(&self, name: &str) -> BTreeMap<String, String> {
        let path = self.path(name);
        (1..)
            .map_while(|index| {
                let key = self.parameters.0.get(&format!("{path}.entry.{index}.key"))?;
                let value = self.parameters.0.get(&format!("{path}.entry.{index}.value"))?;
                Some((key.clone(), value.clone()))
            })
            .collect()
    }
}
