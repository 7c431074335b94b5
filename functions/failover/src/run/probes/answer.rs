//! Whether an answer is what a probe must get.

use serde_json::Value;

use crate::model::probe::Probe;
use crate::model::text::cut;

/// So much of a body is read.
pub const READ_BYTES: usize = 64 * 1024;

/// So much of it is said.
const SHOWN: usize = 100;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Such as 200.
    pub status: u16,
    /// Where it redirects to, for one of the statuses that do.
    pub location: Option<String>,
    /// The body, or its first [`READ_BYTES`].
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl ProbeAnswer {
    /// What a probe misses in it, in words for a person; nothing where all is well.
    pub fn lacks(&self, probe: &Probe) -> Option<String> {
        if self.status != probe.status {
            let to = self.location.as_ref().map_or_else(String::new, |to| format!(" to {}", shown(to)));
            return Some(format!("status {}{to} instead of {}", self.status, probe.status));
        }
        let text = String::from_utf8_lossy(&self.body);
        if let Some(wanted) = probe.text.as_ref().filter(|wanted| !text.contains(wanted.as_str())) {
            let part = if self.whole { "the answer" } else { "the first 64 KiB of the answer" };
            return Some(format!("{} is not in {part}, which begins with {}", shown(wanted), shown(&text)));
        }
        if probe.json.is_empty() {
            return None;
        }
        if !self.whole {
            return Some("an answer of more than 64 KiB, which is not read as JSON".into());
        }
        match serde_json::from_slice::<Value>(&self.body) {
            Err(error) => Some(format!("no JSON ({error}) but {}", shown(&text))),
            Ok(json) => probe.json.iter().find_map(|(pointer, wanted)| match json.pointer(pointer) {
                Some(found) if found == wanted => None,
                Some(found) => Some(format!(
                    "{pointer} is {} instead of {}",
                    short(&found.to_string()),
                    short(&wanted.to_string())
                )),
                None => Some(format!("there is no {pointer} in {}", shown(&text))),
            }),
        }
    }
}

/// Text from outside as one readable line.
fn shown(text: &str) -> String {
    format!("{:?}", short(text))
}

fn short(text: &str) -> String {
    cut(text, SHOWN)
}
