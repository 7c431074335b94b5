//! Scenarios from files, played live: the shipped functions, real processes and real HTTP.

mod action;
mod fault;
mod report;
mod run;

pub use self::report::{FromFault, Report, Requests, RunReport};
pub use self::run::{Happening, rehearse};

#[cfg(test)]
mod tests {
    use scenario::library_folder;

    use super::Report;

    /// `UPDATE=1 cargo test -p rehearsal schema` writes it anew.
    #[test]
    fn the_schema_is_that_of_the_type() {
        let path = library_folder().join("result.schema.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == text, "{} is out of date", path.display());
    }
}
