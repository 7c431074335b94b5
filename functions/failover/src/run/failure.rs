//! The error output of a state in words, whatever it holds.

use serde_json::Value;

/// As much as is said of an error in the middle of a text: the cause that it becomes a part of may hold
/// 32,768 characters.
const MOST: usize = 5000;

/// An error output as Step Functions gives it, taken apart.
struct Failure<'a> {
    name: &'a str,
    /// What it says; nothing where it says nothing.
    message: Option<String>,
    /// Whether that is the message of a function's error, and not whatever text there was.
    of_function: bool,
}

/// A function's error comes as JSON within the text of `Cause`. Lambda's own errors are plain text, which
/// may quote such JSON; a time-out of the state comes without any text.
fn read(error: &Value) -> Failure<'_> {
    let text = |field: &str| error.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let name = text("Error").unwrap_or("an error without a name");
    let cause = text("Cause");
    let message = cause.and_then(message);
    let of_function = message.is_some();
    let said = message.or_else(|| cause.map(str::to_owned)).filter(|said| !said.trim().is_empty());
    Failure { name, message: said, of_function }
}

/// The message of a function's error; nothing where the text is no such JSON.
fn message(cause: &str) -> Option<String> {
    let error: Value = serde_json::from_str(cause).ok()?;
    error.get("errorMessage")?.as_str().map(str::to_owned)
}

/// An error within a sentence: named, and cut.
pub fn in_words(error: &Value) -> String {
    match read(error) {
        Failure { name, message: Some(said), .. } => {
            format!("{name}: {}", said.chars().take(MOST).collect::<String>())
        }
        Failure { name: name @ "States.Timeout", .. } => {
            format!("the function did not answer within its time-out ({name})")
        }
        Failure { name, .. } => format!("the function failed without saying why ({name})"),
    }
}

/// What an error says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is one of ours, which says what was touched and what to do.
    pub ours: bool,
    /// One sentence or more.
    pub text: String,
}

/// An error as sentences of its own, of so many characters at most. An error of ours speaks for itself; all
/// others, whose names have a dot, are named in front of their message.
pub fn said(error: &Value, most: usize) -> Said {
    let (ours, text) = match read(error) {
        Failure { name, message: Some(said), of_function } if of_function && !name.contains('.') => {
            (true, said)
        }
        Failure { name, message: Some(said), .. } => (false, format!("{name}: {said}")),
        Failure { name: name @ "States.Timeout", .. } => {
            (false, format!("The function did not answer within its time-out ({name})"))
        }
        Failure { name, .. } => (false, format!("The function failed without saying why ({name})")),
    };
    Said { ours, text: sentence(&text.chars().take(most).collect::<String>()) }
}

/// The text with a stop at its end, if it has none.
pub fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// The error's name and message apart, for whoever words it otherwise.
pub(super) fn name_and_message(error: &Value) -> (&str, Option<String>) {
    let Failure { name, message, .. } = read(error);
    (name, message)
}

#[cfg(test)]
mod tests;
