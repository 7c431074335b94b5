//! Expressions, evaluated by the reference implementation of `JSONata` in the version that Step Functions
//! supports: the one that `make tools` installs and `tests/tools/expressions.mjs` evaluates with.
//!
//! Two short cuts save most of the work and change no value; a test compares them with the reference. A
//! path through objects only is looked up here. And as an expression of the definition depends on nothing
//! but the variables that it names, its value is remembered with theirs.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rquickjs::{Context, Ctx, Function, Object, Runtime};
use serde_json::{Map, Value};

/// What is bound while an expression is evaluated.
pub type Variables = BTreeMap<String, Value>;

/// The version that Step Functions supports.
pub const VERSION: &str = "2.0.6";

/// Stack for expressions, in bytes: the reference recurses. Threads that evaluate need more than that.
const STACK: usize = 4 << 20;

/// Values that are remembered, and the longest that their variables may be as JSON, in bytes.
const REMEMBERED: usize = 4096;
const LONGEST_REMEMBERED: usize = 32 << 10;

/// What would make a value depend on more than its variables.
const IMPURE: [&str; 4] = ["$now(", "$millis(", "$random(", "$shuffle("];

/// What the reference is called through: values cross as JSON.
const GLUE: &str = r"
const compiled = [];
globalThis.compile = (source) => {
  const expression = module.exports(source);
  // Step Functions' own: throws at whatever is no JSON.
  expression.registerFunction('parse', (text) => JSON.parse(text));
  compiled.push(expression);
  return compiled.length - 1;
};
globalThis.run = (index, bindings) => {
  const out = {};
  compiled[index].evaluate(undefined, JSON.parse(bindings)).then(
    (value) => { out.value = value === undefined ? '' : JSON.stringify(value); },
    (error) => { out.error = String(error.code || '') + ' ' + String(error.message || error); });
  return out;
};";

/// An expression that was compiled.
#[derive(Clone, Debug)]
pub struct Expression {
    index: i32,
    names: Vec<String>,
    /// The steps of a plain path, if it is one.
    path: Option<Vec<String>>,
}

/// A JavaScript engine with the reference in it. One for each thread.
pub struct Engine {
    context: Context,
    runtime: Runtime,
    known: RefCell<HashMap<(i32, String), Option<Value>>>,
    short_cuts: Cell<bool>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Reads the reference from the tools of a checkout.
    ///
    /// # Errors
    /// If it is not there, or not of the version that is needed; `make tools` installs it.
    pub fn new(root: &Path) -> Result<Self, String> {
        let folder = root.join(".tools/npm/node_modules/jsonata");
        let read = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}; run `make tools`", path.display()))
        };
        let package: Value =
            serde_json::from_str(&read("package.json")?).map_err(|error| error.to_string())?;
        if package["version"] != VERSION {
            return Err(format!("JSONata is {}, not {VERSION}; run `make tools`", package["version"]));
        }
        let source = format!(
            "var module = {{ exports: {{}} }}, exports = module.exports;\n{}\n;{GLUE}",
            read("jsonata.min.js")?
        );
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        runtime.set_max_stack_size(STACK);
        let context = Context::full(&runtime).map_err(|error| error.to_string())?;
        context.with(|ctx| ctx.eval::<(), _>(source).map_err(|error| thrown(&ctx, &error)))?;
        Ok(Self { context, runtime, known: RefCell::default(), short_cuts: Cell::new(true) })
    }

    /// Whether values may be looked up instead of evaluated.
    pub fn set_short_cuts(&self, allowed: bool) {
        self.short_cuts.set(allowed);
    }

    /// Compiles an expression.
    ///
    /// # Errors
    /// As the reference says.
    pub fn compile(&self, source: &str) -> Result<Expression, String> {
        if let Some(impure) = IMPURE.iter().find(|impure| source.contains(**impure)) {
            return Err(format!("{impure}...) has another value each time, which is not provided for"));
        }
        let index = self.context.with(|ctx| {
            let compile: Function<'_> = ctx.globals().get("compile").map_err(|error| error.to_string())?;
            compile.call((source,)).map_err(|error| thrown(&ctx, &error))
        })?;
        Ok(Expression { index, names: names(source), path: path(source) })
    }

    /// The value of an expression; none where it gives nothing.
    ///
    /// # Errors
    /// As the reference throws.
    pub fn evaluate(&self, expression: &Expression, variables: &Variables) -> Result<Option<Value>, String> {
        let short = self.short_cuts.get();
        if short
            && let Some(path) = &expression.path
            && let Some(found) = look_up(path, variables)
        {
            return Ok(Some(found.clone()));
        }
        let bound: Map<String, Value> = expression
            .names
            .iter()
            .filter_map(|name| Some((name.clone(), variables.get(name)?.clone())))
            .collect();
        let bound = Value::Object(bound).to_string();
        let key = (expression.index, bound);
        if short && let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let value = self.run(expression.index, &key.1)?;
        if short && key.1.len() <= LONGEST_REMEMBERED {
            let mut known = self.known.borrow_mut();
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(key, value.clone());
        }
        Ok(value)
    }

    fn run(&self, index: i32, bindings: &str) -> Result<Option<Value>, String> {
        let out = |ctx: &Ctx<'_>, name: &str| -> Result<Option<String>, String> {
            let out: Object<'_> = ctx.globals().get("out").map_err(|error| error.to_string())?;
            out.get(name).map_err(|error| error.to_string())
        };
        self.context.with(|ctx| {
            let run: Function<'_> = ctx.globals().get("run").map_err(|error| error.to_string())?;
            let out: Object<'_> = run.call((index, bindings)).map_err(|error| thrown(&ctx, &error))?;
            ctx.globals().set("out", out).map_err(|error| error.to_string())
        })?;
        while self.runtime.execute_pending_job().map_err(|_| "a job of the engine threw".to_owned())? {}
        self.context.with(|ctx| {
            if let Some(error) = out(&ctx, "error")? {
                return Err(error);
            }
            let value = out(&ctx, "value")?.ok_or("the evaluation never ended")?;
            if value.is_empty() {
                return Ok(None);
            }
            serde_json::from_str(&value).map(Some).map_err(|error| error.to_string())
        })
    }
}

fn thrown(ctx: &Ctx<'_>, error: &rquickjs::Error) -> String {
    if !error.is_exception() {
        return error.to_string();
    }
    let caught = ctx.catch();
    let object = caught.as_object();
    let message = object.and_then(|object| object.get::<_, String>("message").ok());
    message.unwrap_or_else(|| format!("{caught:?}"))
}

/// Every name behind a dollar sign, those of functions and of an expression's own variables too.
fn names(source: &str) -> Vec<String> {
    let mut names: Vec<String> =
        source.split('$').skip(1).map(identifier).filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The steps of `$name.name.name`.
fn path(source: &str) -> Option<Vec<String>> {
    let steps: Vec<String> = source.trim().strip_prefix('$')?.split('.').map(str::to_owned).collect();
    let plain = |step: &String| {
        !step.is_empty()
            && identifier(step) == *step
            && !step.starts_with(|first: char| first.is_ascii_digit())
    };
    steps.iter().all(plain).then_some(steps)
}

/// What a path through objects leads to; none where it leads nowhere, or there is a list on the way.
fn look_up<'a>(path: &[String], variables: &'a Variables) -> Option<&'a Value> {
    let start = variables.get(&path[0])?;
    path[1..].iter().try_fold(start, |value, step| value.as_object()?.get(step))
}
