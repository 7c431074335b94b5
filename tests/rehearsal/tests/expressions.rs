//! Whatever an error looks like, the definition has a sentence for it.

use std::process::Command;

use rehearsal::{root, tool};

/// No expression of the definition throws or gives nothing.
#[test]
fn every_expression_of_the_definition_holds() {
    let node = tool("node");
    assert!(node.exists(), "there is nothing to evaluate with; `make tools` installs it");
    let output = Command::new(node).arg(root().join("tests/tools/expressions.mjs")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
