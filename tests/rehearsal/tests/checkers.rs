//! The checkers in `tests/tools` find what they are for, and nothing in what is deployed.

use std::path::Path;
use std::process::Command;

use rehearsal::{root, tool};

/// Runs a checker; what it prints must be nothing but praise.
fn check(checker: &str, arguments: &[&str]) {
    let python = tool("python");
    assert!(python.exists(), "there is nothing to check with; `make tools` installs it");
    let script = root().join("tests/tools").join(checker);
    let output = Command::new(python).arg(script).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{checker}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_checker_judges_what_is_made_for_it_as_it_should() {
    for checker in ["requests", "commands", "answers", "metrics", "patterns", "ledger", "rights"] {
        check(&format!("check_{checker}.py"), &["--self-test"]);
    }
}

/// Recorded by localstack, `base/test_base.snapshot.json`, `test_event_bridge_events_base`: an event of an execution
/// has its error and cause as null where there is none.
#[test]
fn the_rule_for_interrupted_runs_meets_them_and_no_others() {
    check("check_patterns.py", &["infra/template.yaml", "functions/failover/src/model/ending.rs"]);
}

/// Whatever a script asks of AWS has a row: what AWS does, and who says so.
#[test]
fn what_scripts_ask_of_aws_is_in_the_ledger() {
    let mut given = vec!["tests/alb/ledger.json".to_owned(), "infra/pipeline.yaml".to_owned()];
    for folder in ["infra", "tests/prove"] {
        for file in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = file.unwrap().path();
            let kind = path.extension().and_then(|kind| kind.to_str());
            // That one names operations which are never to be called.
            if matches!(kind, Some("sh" | "py")) && !path.ends_with("self_test.py") {
                given.push(path.display().to_string());
            }
        }
    }
    assert!(given.len() > 10, "{given:?}");
    check("check_ledger.py", &given.iter().map(String::as_str).collect::<Vec<_>>());
}

/// The files below a folder whose names end so, but those of tests.
fn files(folder: &Path, kinds: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kinds));
        } else if path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known))
            && !path.ends_with("tests.rs")
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// The AWS CLI takes every command that a script runs, or that a page or a function tells people to run.
#[test]
fn commands_for_scripts_and_people_are_as_the_cli_wants_them() {
    let mut given = files(&root().join("infra"), &["sh", "yaml", "md", "py"]);
    given.extend(files(&root().join("functions/failover/src"), &["rs"]));
    given.push("README.md".into());
    check("check_commands.py", &given.iter().map(String::as_str).collect::<Vec<_>>());
}

/// What the scripts of a deployment ask for, and CloudFormation for the templates, is what the page about rights lists.
#[test]
fn what_a_deployment_asks_for_is_on_the_page_about_rights() {
    let templates = ["template.yaml", "testers.yaml", "pipeline.yaml"];
    let scripts = ["deploy.sh", "settings.py", "sign.py", "testers.py", "undeploy.py"];
    let given: Vec<_> = templates.iter().chain(&scripts).map(|name| format!("infra/{name}")).collect();
    let known = ["infra/guide/rights.md", "tests/tools/handlers.json"];
    check("check_rights.py", &known.into_iter().chain(given.iter().map(String::as_str)).collect::<Vec<_>>());
}
