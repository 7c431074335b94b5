//! Texts from outside: what servers, hooks and AWS answer, and what people write into tags. They may be of any length,
//! and what a run says of them travels from state to state, where 256 KiB is all that Step Functions hands on.

use std::fmt::Write;

/// What all reasons of a run's timeline may have together, in bytes. As JSON they are at most twice that, and the
/// notice of the end holds them twice.
const REASONS: usize = 16 * 1024;

/// The text in one line of at most `most` bytes, with three dots at its end where it was longer.
///
/// No sign of what it says takes more than two bytes for each of its own as JSON: those that would are spaces.
pub fn cut(text: &str, most: usize) -> String {
    let shown = |sign: char| if sign.is_control() { ' ' } else { sign };
    if text.len() <= most {
        return text.chars().map(shown).collect();
    }
    let room = most.saturating_sub("...".len());
    let mut short = String::with_capacity(most);
    for sign in text.chars().map(shown) {
        if short.len() + sign.len_utf8() > room {
            break;
        }
        short.push(sign);
    }
    short.push_str(&"..."[..most.min(3)]);
    short
}

/// What is said of a stage, so that all `stages` of a run fit into a state together.
pub fn reason(text: &str, stages: usize) -> String {
    cut(text, REASONS / stages.max(1))
}

/// The first of many sentences that say the same of different things, and how many more there are.
pub fn first_of<'a>(sentences: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut sentences = sentences.into_iter();
    let mut first = sentences.next()?.to_owned();
    let more = sentences.count();
    if more > 0 {
        // Writing to memory does not fail.
        let _ = write!(first, " (and {more} more)");
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_short_stays_and_what_is_long_ends_in_dots() {
        assert_eq!(cut("as it is", 8), "as it is");
        assert_eq!(cut("two\nlines", 9), "two lines");
        assert_eq!(cut("more than that", 8), "more ...");
        // Never within a sign.
        assert_eq!(cut("ééé", 5), "é...");
        assert_eq!((cut("abc", 2), cut("abc", 0)), ("..".to_owned(), String::new()));
    }

    #[test]
    fn all_reasons_of_a_run_take_the_same_room() {
        for stages in 1..=50 {
            assert!(stages * reason(&"more ".repeat(100_000), stages).len() <= REASONS, "{stages} stages");
        }
    }

    #[test]
    fn one_sentence_stands_for_many() {
        assert_eq!(first_of([]), None);
        assert_eq!(first_of(["one"]).as_deref(), Some("one"));
        assert_eq!(first_of(["one", "two", "three"]).as_deref(), Some("one (and 2 more)"));
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_it_may_be_not_even_as_json(text in "(?s).{0,200}", most in 0..300usize) {
            let cut = cut(&text, most);
            prop_assert!(cut.len() <= most);
            prop_assert!(json!(cut).to_string().len() <= 2 * most + 2, "{cut:?}");
        }
    }
}
