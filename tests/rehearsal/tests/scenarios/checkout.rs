//! A copy of what a deployment needs, for scenarios that change some of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rehearsal::{Ground, root};

/// Copies it into a folder of this name, which is gone with the ground.
pub fn copy(ground: &Ground, name: &str) -> Result<PathBuf> {
    let checkout = ground.folder().join(name);
    let mut files = vec![root().join("statemachine/failover.asl.json")];
    for file in ["deploy.sh", "dev.example.env", "settings.py", "template.yaml", "testers.py", "undeploy.py"]
    {
        files.push(root().join("infra").join(file));
    }
    files.extend(packages(&root())?);
    for file in files {
        let copy = checkout.join(file.strip_prefix(root())?);
        fs::create_dir_all(copy.parent().context("a file in a folder")?)?;
        fs::copy(&file, copy).with_context(|| file.display().to_string())?;
    }
    Ok(checkout)
}

/// The packages of all functions, in the order of their names.
pub fn packages(checkout: &Path) -> Result<Vec<PathBuf>> {
    let folders = fs::read_dir(checkout.join("target/lambda"));
    let folders = folders.context("were the functions built with `make build`?")?;
    let mut packages: Vec<_> =
        folders.map(|folder| Ok(folder?.path().join("bootstrap.zip"))).collect::<Result<_>>()?;
    packages.sort();
    Ok(packages)
}
