//! The example pipeline, read from its template and walked through as `CodePipeline` walks through it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rehearsal::{App, FLEETS, Forward, Ground, RouteKind, Site, aim, root, tool};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::process::Command;
use yaml_serde::Value as Yaml;

use crate::support::{RATE, check_nothing_lost, check_traffic, check_weights, input};

const COMMIT: &str = "4f0c3b1a9d2e5f60718293a4b5c6d7e8f9012345";

/// Deployments are what the team brings along, so they are only noted down; all else that the
/// commands ask AWS is asked and answered.
const AWS: &str = r#"#!/bin/sh
echo "$*" >>"$CALLS"
case "$1 $2" in
    "deploy create-deployment") echo d-SHOP ;;
    deploy*) ;;
    *) exec "$REAL_AWS" "$@" ;;
esac
"#;

pub async fn a_commit_goes_through_a_whole_cycle(ground: &Ground) -> Result<()> {
    let site = Site::new(ground, "pipeline").await?;
    let app = site.app("pipeline", &[RouteKind::Host], Forward::Weighted([100, 0])).await?;
    let traffic = app.traffic(RATE);
    let mut pipeline = Pipeline::new(ground, &app)?;
    for action in actions(ground, &app)? {
        pipeline.act(&action).await.with_context(|| format!("the action {}", action["Name"]))?;
    }
    ensure!(
        pipeline.done
            == [
                "Source",
                "Package",
                "Drain: drained, standby prod2",
                "DeployToStandby: prod2",
                "Shift: shifted, standby prod1",
                "DeployToNewStandby: prod1",
                "Approve",
                "Balance: balanced, standby prod1",
            ],
        "{:#?}",
        pipeline.done
    );
    check_weights(&app, [50, 50]).await?;
    check_traffic(&traffic, 50).await?;
    check_nothing_lost(&app, &traffic)
}

/// An execution of the pipeline.
struct Pipeline<'a> {
    ground: &'a Ground,
    app: &'a App<'a>,
    /// What later actions may refer to, such as `#{Drain.ExecutionArn}`.
    variables: BTreeMap<String, String>,
    folder: TempDir,
    done: Vec<String>,
}

impl<'a> Pipeline<'a> {
    fn new(ground: &'a Ground, app: &'a App<'a>) -> Result<Self> {
        let folder = TempDir::new_in(ground.folder())?;
        let aws = folder.path().join("aws");
        fs::write(&aws, AWS)?;
        fs::set_permissions(&aws, fs::Permissions::from_mode(0o755))?;
        let variables = [("#{codepipeline.PipelineExecutionId}".into(), "cb5a2f10".into())].into();
        Ok(Self { ground, app, variables, folder, done: Vec::new() })
    }

    async fn act(&mut self, action: &Value) -> Result<()> {
        let action = self.with_variables(action)?;
        let name = text(&action["Name"])?;
        let done = match text(&action["ActionTypeId"]["Provider"])? {
            "CodeStarSourceConnection" => {
                self.export(&action, "CommitId", COMMIT)?;
                name.to_owned()
            }
            "StepFunctions" => {
                let output = self.start(&action).await?;
                format!("{name}: {}, standby {}", text(&output["status"])?, text(&output["standby"])?)
            }
            "Commands" => match self.command(&action).await? {
                Some(fleet) => format!("{name}: {fleet}"),
                None => name.to_owned(),
            },
            "Manual" => name.to_owned(),
            other => bail!("CodePipeline has no {other} here"),
        };
        self.done.push(done);
        Ok(())
    }

    /// Starts the execution with the literal input, bakes of seconds apart, and waits for its end.
    async fn start(&mut self, action: &Value) -> Result<Value> {
        let configuration = &action["Configuration"];
        ensure!(configuration["InputType"] == "Literal", "{configuration}");
        ensure!(configuration["StateMachineArn"] == self.ground.state_machine_arn, "{configuration}");
        let literal: Value = serde_json::from_str(text(&configuration["Input"])?)?;
        let execution = self.ground.execute(&input(self.app, "", literal)).await?;
        self.export(action, "ExecutionArn", &execution.arn)?;
        let ended = execution.finish().await?;
        ensure!(ended.status == "SUCCEEDED", "{:?}: {:?}", ended.error, ended.cause);
        Ok(ended.output)
    }

    /// Runs the commands in one shell that ends with the first that fails, as a build does. Tells
    /// which fleet was deployed to.
    async fn command(&self, action: &Value) -> Result<Option<&'static str>> {
        let work = TempDir::new_in(self.folder.path())?;
        fs::write(work.path().join("appspec.yml"), "version: 0.0\nos: linux\n")?;
        let calls = work.path().join("calls");
        let commands: Vec<&str> = list(&action["Commands"])?.iter().map(text).collect::<Result<_>>()?;
        ensure!(commands.iter().all(|c| c.len() <= 1000 && !c.contains('\n')), "{commands:?}");
        let mut shell = Command::new("sh");
        aim(&mut shell, self.ground.endpoint())
            .env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", self.ground.alb.endpoint())
            .env("PATH", path_with(self.folder.path())?)
            .env("CALLS", &calls)
            .env("REAL_AWS", tool("aws"))
            .current_dir(work.path())
            .args(["-e", "-c", &commands.join("\n")])
            .kill_on_drop(true);
        for variable in action["EnvironmentVariables"].as_array().into_iter().flatten() {
            shell.env(text(&variable["Name"])?, text(&variable["Value"])?);
        }
        let output = shell.output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.check_calls(&fs::read_to_string(&calls)?)
    }

    /// Either the release is stored, or what was stored is deployed to one fleet, whose targets are
    /// waited for.
    fn check_calls(&self, calls: &str) -> Result<Option<&'static str>> {
        let calls: Vec<&str> = calls.lines().filter(|call| !call.starts_with("stepfunctions ")).collect();
        let key = format!("releases/{COMMIT}.zip");
        let stored =
            format!("deploy push --application-name shop --source . --s3-location s3://artifacts/{key}");
        if calls == [stored] {
            return Ok(None);
        }
        for (index, fleet) in FLEETS.into_iter().enumerate() {
            let deployed = [
                format!(
                    "deploy create-deployment --application-name shop --deployment-group-name {fleet} \
                     --query deploymentId --output text --s3-location bucket=artifacts,key={key},bundleType=zip"
                ),
                "deploy wait deployment-successful --deployment-id d-SHOP".to_owned(),
                format!("elbv2 wait target-in-service --target-group-arn {}", self.app.groups[index]),
            ];
            if calls == deployed {
                self.app.deploy(index, COMMIT);
                return Ok(Some(fleet));
            }
        }
        bail!("the commands called {calls:#?}")
    }

    fn export(&mut self, action: &Value, name: &str, value: &str) -> Result<()> {
        let namespace = text(&action["Namespace"])?;
        self.variables.insert(format!("#{{{namespace}.{name}}}"), value.to_owned());
        Ok(())
    }

    fn with_variables(&self, action: &Value) -> Result<Value> {
        let replaced =
            self.variables.iter().fold(action.to_string(), |text, (name, value)| text.replace(name, value));
        ensure!(!replaced.contains("#{"), "it refers to what no earlier action exports: {replaced}");
        Ok(serde_json::from_str(&replaced)?)
    }
}

/// The actions of the template in the order in which they run, with its parameters filled in.
fn actions(ground: &Ground, app: &App<'_>) -> Result<Vec<Value>> {
    let template: Yaml = yaml_serde::from_str(&fs::read_to_string(root().join("infra/pipeline.yaml"))?)?;
    let chosen = [
        ("App", app.name.as_str()),
        ("Application", "shop"),
        ("Bake", "3s"),
        ("Connection", "arn:aws:codeconnections:us-east-1:000000000000:connection/1"),
        ("FleetRole", "shop"),
        ("Repository", "shop/web"),
        ("Stages", "20, 100"),
        ("StateMachineArn", &ground.state_machine_arn),
    ];
    let parameters = template["Parameters"].as_mapping().context("no parameters")?;
    ensure!(chosen.iter().all(|(name, _)| parameters.contains_key(name)), "a parameter is gone");
    let mut names = BTreeMap::from([("Artifacts", "artifacts")]);
    for (name, parameter) in parameters {
        let name = name.as_str().context("a parameter without name")?;
        let value = chosen.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        names.extend(value.or_else(|| parameter["Default"].as_str()).map(|value| (name, value)));
    }
    let stages = resolve(&template["Resources"]["Pipeline"]["Properties"]["Stages"], &names)?;
    let mut all = Vec::new();
    for stage in list(&stages)? {
        let mut actions = list(&stage["Actions"])?.clone();
        actions.sort_by_key(|action| action["RunOrder"].as_u64().unwrap_or(1));
        all.extend(actions);
    }
    Ok(all)
}

/// A part of the template as JSON, with `!Ref` and `!Sub` carried out; `!GetAtt` stays as it is.
fn resolve(part: &Yaml, names: &BTreeMap<&str, &str>) -> Result<Value> {
    Ok(match part {
        Yaml::Tagged(tagged) if tagged.tag == "Ref" => {
            let name = tagged.value.as_str().context("a !Ref without name")?;
            Value::from(*names.get(name).with_context(|| format!("nothing to put for !Ref {name}"))?)
        }
        Yaml::Tagged(tagged) if tagged.tag == "Sub" => {
            let pattern = tagged.value.as_str().context("a !Sub without text")?;
            let filled = names
                .iter()
                .fold(pattern.to_owned(), |t, (name, value)| t.replace(&format!("${{{name}}}"), value));
            ensure!(!filled.contains("${"), "nothing to put into {filled}");
            Value::from(filled)
        }
        Yaml::Tagged(tagged) if tagged.tag == "GetAtt" => serde_json::to_value(&tagged.value)?,
        Yaml::Tagged(tagged) => bail!("{} is not known here", tagged.tag),
        Yaml::Sequence(parts) => parts.iter().map(|part| resolve(part, names)).collect::<Result<_>>()?,
        Yaml::Mapping(parts) => {
            let field = |(key, part): (&Yaml, &Yaml)| {
                Ok((key.as_str().context("a key that is no text")?.to_owned(), resolve(part, names)?))
            };
            Value::Object(parts.iter().map(field).collect::<Result<Map<_, _>>>()?)
        }
        plain => serde_json::to_value(plain)?,
    })
}

/// The stub goes before everything else.
fn path_with(folder: &Path) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path)))?)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("{value} is no list"))
}
