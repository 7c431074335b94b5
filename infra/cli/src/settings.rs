//! The settings of a deployment: from `infra/STACK.env` where the command is called in a checkout, and
//! else from what is deployed.

use std::path::{Path, PathBuf};

/// What finds the apps of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the balancer.
    pub balancer: String,
    /// How target groups are named.
    pub pattern: String,
    /// The two fleets, as name=part.
    pub fleets: String,
}

/// The defaults of `infra/template.yaml`.
const PATTERN: &str = "shop-us-prd-{app}-{fleet}-tg";
const FLEETS: &str = "prod1=01,prod2=02";

impl Settings {
    /// From lines of `Name=Value`, among any others.
    ///
    /// # Errors
    /// A sentence where the balancer is not named.
    pub fn parse(lines: &str) -> Result<Self, String> {
        let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let or = |name: &str, default: &str| value(name).unwrap_or(default).trim().to_owned();
        let balancer = value("LoadBalancerName").ok_or("LoadBalancerName is missing")?.trim().to_owned();
        Ok(Self { balancer, pattern: or("TargetGroupPattern", PATTERN), fleets: or("Fleets", FLEETS) })
    }

    /// The fleets with what stands for each in the names of target groups.
    pub fn fleet_parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fleets.split(',').filter_map(|pair| pair.trim().split_once('='))
    }

    /// Whether a balancer, by its ARN, is the one of this deployment.
    pub fn is_balancer(&self, arn: &str) -> bool {
        arn.split(":loadbalancer/app/").nth(1).and_then(|rest| rest.split('/').next()) == Some(&self.balancer)
    }
}

/// The file with the settings of a stack, in this folder or the nearest one above that has one.
pub fn file(folder: &Path, stack: &str) -> Option<PathBuf> {
    folder
        .ancestors()
        .map(|above| above.join("infra").join(format!("{stack}.env")))
        .find(|file| file.is_file())
}

/// The stacks that have settings there, for a name that is wrong.
pub fn stacks(folder: &Path) -> Vec<String> {
    let of = |above: &Path| std::fs::read_dir(above.join("infra")).into_iter().flatten().flatten();
    let names = folder.ancestors().flat_map(of).map(|entry| entry.file_name().to_string_lossy().into_owned());
    let stack =
        |name: String| name.strip_suffix(".env").filter(|stack| *stack != "dev.example").map(str::to_owned);
    names.filter_map(stack).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_the_defaults_of_the_template() {
        let template = include_str!("../../template.yaml");
        for (name, default) in [("TargetGroupPattern", PATTERN), ("Fleets", FLEETS)] {
            let parameter = template.split(&format!("\n  {name}:\n")).nth(1).unwrap();
            let given = parameter.lines().find_map(|line| line.trim().strip_prefix("Default: ")).unwrap();
            assert_eq!(given, default, "{name}");
        }
        let settings = Settings::parse("# mine\nLoadBalancerName=shop\n").unwrap();
        assert_eq!((settings.pattern.as_str(), settings.fleets.as_str()), (PATTERN, FLEETS));
        assert!(Settings::parse("Fleets=a=1,b=2").is_err());
    }

    #[test]
    fn the_definition_says_what_it_was_deployed_for() {
        let definition = include_str!("../../../statemachine/failover.asl.json");
        let definition: serde_json::Value = serde_json::from_str(definition).unwrap();
        let comment = definition["Comment"].as_str().unwrap();
        let settings = Settings::parse(comment).unwrap();
        assert_eq!(settings.balancer, "${LoadBalancerName}");
        assert_eq!(settings.pattern, "${TargetGroupPattern}");
        assert_eq!(settings.fleets, "${Fleets}");
    }

    #[test]
    fn only_a_balancer_of_this_name_is_the_deployments() {
        let settings = Settings::parse("LoadBalancerName=shop").unwrap();
        let arn =
            |name: &str| format!("arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/{name}/0a");
        assert!(settings.is_balancer(&arn("shop")));
        assert!(!settings.is_balancer(&arn("shop-dev")) && !settings.is_balancer("arn"));
    }
}
