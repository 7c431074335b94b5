// Evaluates every expression of the state machine with the reference implementation of JSONata, in the version that
// Step Functions supports, for every shape in which Lambda and Step Functions word an error, and for whatever a hook
// may answer. None may throw, none may give undefined, and none may join texts or count: that is for functions, whose
// tests show that each of these shapes becomes a sentence. The definition has no more states than one can look at.
//
//   expressions.mjs              prints how many evaluations there were, or what is wrong with them
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const jsonata = createRequire(join(root, '.tools/npm/'))('jsonata');

const MOST_STATES = 26;

// ---------------------------------------------------------------------------------------------- errors

const json = (message, more) => JSON.stringify({ errorType: 'Made.Up', errorMessage: message, ...more });
const quotes = 'AWS answered "no" to `web`:\n\tC:\\path, 50 %, ü, \u2028 and 😀';
const timedOut = 'The cause is not known. Returned payload: {"errorMessage":"it took longer than 30.00 seconds"}';

// Records of localstack are snapshots in its tests/aws/services/stepfunctions/v2.
const ERRORS = [
  { error: 'ExternalChange', cause: json('web: rule 1 holds 40/60. Nothing more was written.') },
  { error: 'PlanRejected', cause: json(quotes) },
  { error: 'AwsRefused', cause: json(quotes).replace('ü', '\\u00fc') },
  { error: 'AwsUnavailable', cause: '{\n  "errorMessage" : "later" }\n' },
  { error: 'AwsRefused', cause: json('x'.repeat(30000)) },
  // Recorded by two public projects, 2024 and 2025: a function's own time-out. It names a message and is no JSON.
  { error: 'Lambda.Unknown', cause: timedOut },
  // Recorded by a public project: a crash, or too little memory.
  { error: 'Runtime.ExitError', cause: json('RequestId: 1 Error: signal: killed') },
  { error: 'Sandbox.Timedout', cause: json('RequestId: 1 Error: Task timed out') },
  // Recorded by localstack, error_handling/test_task_service_lambda, test_invoke_timeout: the state's time-out.
  { error: 'States.Timeout', cause: '' },
  { error: 'States.Timeout' },
  { error: 'States.Timeout', cause: null },
  // Recorded by localstack, error_handling/test_task_service_lambda, test_raise_custom_exception: an empty message.
  { error: 'OfAHook', cause: json('', { stackTrace: ['File "/var/task/a.py"\n'] }) },
  // Recorded by localstack, error_handling/test_task_service_lambda, test_no_such_function: Lambda itself refuses.
  { error: 'Lambda.ResourceNotFoundException', cause: 'Not found: arn:x (Service: AWSLambda; Proxy: null)' },
  // Recorded by localstack, error_handling/test_states_errors, test_service_task_lambada_catch_state_all_data_limit_exceeded_on_large_utf8_response:
  // too large an answer.
  { error: 'States.DataLimitExceeded', cause: 'The result is too large.' },
  // Made up.
  { error: 'Cut', cause: json(quotes).slice(0, 70) },
  { error: 'Cut', cause: '{"errorMessage":"ends in an escape \\' },
  { error: 'Cut', cause: `{"errorMessage":"${'\\n'.repeat(15000)}` },
  // More escapes than an engine that recurses over them may have room for.
  { error: 'AwsRefused', cause: json('"'.repeat(900)) },
  { error: 'AwsRefused', cause: json('"'.repeat(15000)) },
  { error: 'NotJson', cause: '{"errorMessage":"a\nb"}' },
  { error: 'NotJson', cause: '{"errorMessage":"\\q \\u12"}' },
  { error: 'NotJson', cause: '{"errorMessage":"fine", and then' },
  { error: 'Text', cause: 'plain text with "errorMessage" in it' },
  { error: 'Null', cause: json(null) },
  { error: 'Number', cause: json(42) },
  { error: 'Object', cause: json({ reason: 'deep' }) },
  { error: 'List', cause: json(['one', 'two']) },
  { error: 'Inner', cause: '{"errorType":"Outer","cause":{"errorMessage":"inner words"}}' },
  { error: 'Missing', cause: '{"errorType":"Missing"}' },
  { error: 'Escaped', cause: '{"errorType":"\\"errorMessage\\":\\"no\\"","errorMessage":"yes"}' },
  { error: 'Blank', cause: json(' \n ') },
  { error: 'Blank', cause: ' ' },
  { error: 'Empty', cause: '{}' },
  { error: 'OnlyAName' },
  { cause: 'only a cause' },
  { error: '', cause: '' },
  { error: null, cause: null },
  {},
];

function errorOutput({ error, cause }) {
  return { ...(error !== undefined && { Error: error }), ...(cause !== undefined && { Cause: cause }) };
}

// ------------------------------------------------------------------------------------------- variables

const HOOK = 'arn:aws:lambda:eu-central-1:123456789012:function:release-hook:7';

function plan(changes) {
  return { app: 'web', operation: 'shift', propagationSeconds: 15, hooks: { beforeRun: HOOK, afterStage: HOOK }, ...changes };
}

const { hooks: _, ...hookless } = plan();
const PLANS = [plan(), hookless, plan({ operation: 'restore', predecessors: ['arn:execution'] }), plan({ predecessors: [] })];

const PROGRESS = { stage: 0, waitSeconds: 30, timeline: [{ stage: 0, weights: { prod1: 90, prod2: 10 } }] };
const VARIABLES = {
  plan: plan(), progress: PROGRESS, proceed: true, probeStandby: false, callHook: false, claimed: false, outcome: null,
  figures: null, traffic: null, rolledBack: null, why: 'the standby fails', cause: 'What happened.', verdict: 'wait', fullyShifted: false,
  ask: false, probeApp: false, ending: 'RolledBack', pages: true, stuck: { Error: 'States.Timeout', Cause: '' },
};

// Every variable with each of these, the others as they are above.
const OTHERWISE = {
  plan: PLANS, proceed: [false, null], probeStandby: [true], callHook: [true], claimed: [true], figures: [{ web: {} }],
  outcome: [{ status: 'shifted' }], why: [null, { hook: { moment: 'beforeRun' } }, { Error: 'States.Timeout' }],
  rolledBack: [{ settled: false, ending: 'RolledBack' }, { settled: true, ending: 'RolledBack' }, { settled: true, ending: 'Halted' }],
  verdict: ['advance', 'recheck', 'rollBack', 'halt', 'nonsense'], fullyShifted: [true, null], ask: [true], probeApp: [true],
  pages: [false], traffic: ['prod1 40 %, prod2 60 %'],
  ending: ['Completed', 'Unchanged', 'Restored', 'PlanRejected', 'FailedOver', 'ExternalChange', 'Halted', 'RolesNotRecorded'],
};

function variables() {
  const one = ([name, values]) => values.map((value) => ({ ...VARIABLES, [name]: value }));
  return [VARIABLES, ...Object.entries(OTHERWISE).flatMap(one)];
}

const CONTEXT = { Execution: { Id: 'arn:execution:1', StartTime: '2026-11-30T10:00:00Z' } };
const INPUTS = [{ app: 'web', operation: 'shift' }, { app: 'web', skipIfBlocked: true }, {}];

// ---------------------------------------------------------------------------------------------- answers

// What the functions always answer.
const CONCLUSION = { ending: 'RolledBack', cause: 'web: rolled back.', output: null, pages: false };
const RESULTS = {
  PlanShift: {
    plan: plan(), progress: PROGRESS, proceed: true, probeStandby: false, callHook: true, outcome: { status: 'planned' },
  },
  ProbeStandby: { verdict: 'advance', reason: 'the probes pass', progress: PROGRESS },
  SetWeights: PROGRESS,
  CheckMetrics: {
    verdict: 'wait', reason: 'too early', fullyShifted: false, ask: false, probeApp: false, callHook: false, figures: {},
    progress: PROGRESS,
  },
  ProbeApp: { verdict: 'wait', reason: 'the probes pass', progress: PROGRESS },
  SwapRoles: { status: 'shifted' },
  RollBack: { ending: 'RolledBack', cause: 'web: rolled back.', settled: false },
  ReleaseRoutes: { apps: ["web"], conclusion: CONCLUSION, traffic: null },
  SendEndNotice: { subject: null, conclusion: CONCLUSION },
};
RESULTS.RollBackOn = RESULTS.RollBack;

// What hooks of other people may answer; `undefined` stands for no answer at all. Recorded by localstack,
// services/test_lambda_task_service, test_invoke_json_values: a hook that returns nothing has the payload null.
const ANSWERS = [
  null, undefined, true, 0, 42, '', ' ', 'advance', [], ['advance'], [{ verdict: 'advance' }], {}, { verdict: null },
  { verdict: 'advance' }, { verdict: ['advance'] }, { verdict: 'rollBack' }, { verdict: 'rollBack', reason: 'no' },
  ...[null, '', ' ', 7, { why: 'deep' }, ['one'], [], false].map((reason) => ({ verdict: 'rollBack', reason })),
  { verdict: 'rollBack', reason: 'x'.repeat(5000) }, { verdict: 'x'.repeat(5000) }, { errorMessage: null },
];

const CALLS = ['CallBeforeRun', 'CallAfterStage'];

function results(state) {
  if (!CALLS.includes(state)) return [RESULTS[state]];
  const around = { ExecutedVersion: '$LATEST', StatusCode: 200, SdkHttpMetadata: { HttpStatusCode: 200 } };
  return ANSWERS.map((answer) => ({ ...around, ...(answer !== undefined && { Payload: answer }) }));
}

// --------------------------------------------------------------------------------------------- evaluation

const compiled = new Map();

function compile(source) {
  if (!compiled.has(source)) {
    const expression = jsonata(source);
    // Step Functions' own: throws at whatever is no JSON.
    expression.registerFunction('parse', (text) => JSON.parse(text));
    compiled.set(source, expression);
  }
  return compiled.get(source);
}

/** The value of a field of a state: its expressions evaluated, everything else as it is. */
async function value(field, bindings) {
  if (typeof field === 'string') {
    const source = /^\{%([\s\S]*)%\}$/.exec(field)?.[1];
    if (source === undefined) return field;
    const found = await compile(source).evaluate(undefined, bindings);
    if (found === undefined) throw new Error('gives undefined');
    return found;
  }
  if (Array.isArray(field)) return Promise.all(field.map((part) => value(part, bindings)));
  if (field === null || typeof field !== 'object') return field;
  const parts = Object.entries(field).map(async ([name, part]) => [name, await value(part, bindings)]);
  return Object.fromEntries(await Promise.all(parts));
}

/** What an expression does that is for functions to do, if anything. */
function tooMuch(field) {
  const expressions = JSON.stringify(field ?? null).match(/\{%.*?%\}/g) ?? [];
  return expressions.find((expression) => /&|\$(match|join|sum|count|parse|eval)\b|[^-\w'][-+*/]\s/.test(expression));
}

let evaluations = 0;

/** Evaluates fields of a state; adds what is wrong to `wrong`. */
async function look(place, fields, bindings, wrong) {
  for (const [name, field] of Object.entries(fields)) {
    if (field === undefined) continue;
    evaluations += 1;
    const complain = (what) => wrong.add(`${place}.${name} ${what}`.slice(0, 600));
    const more = tooMuch(field);
    if (more) complain(`does what a function should: ${more}`);
    try {
      const found = await value(field, bindings);
      if (name === 'Condition' && typeof found !== 'boolean') complain(`gives ${JSON.stringify(found)}`);
      if (name === 'Seconds' && !Number.isInteger(found)) complain(`gives ${JSON.stringify(found)}`);
    } catch (error) {
      complain(`${error.message}${error.code ? ` (${error.code})` : ''}, given ${JSON.stringify(bindings.states)}`);
    }
  }
}

/** Follows a Choice as Step Functions does: what a rule assigns is evaluated where it is met. */
async function choose(place, state, bindings, wrong) {
  for (const [index, rule] of state.Choices.entries()) {
    const here = `${place}.Choices[${index}]`;
    await look(here, { Condition: rule.Condition }, bindings, wrong);
    if ((await value(rule.Condition, bindings).catch(() => false)) === true) {
      return look(here, { Assign: rule.Assign, Output: rule.Output }, bindings, wrong);
    }
  }
  return look(place, { Assign: state.Assign, Output: state.Output }, bindings, wrong);
}

/** What is wrong with the expressions of a definition. */
async function problems(definition) {
  const wrong = new Set();
  for (const [name, state] of Object.entries(definition.States)) {
    for (const variable of variables()) {
      // Only a run that has a hook comes to where it is called.
      if (CALLS.includes(name) && variable.plan.hooks === undefined) continue;
      for (const input of INPUTS) {
        const states = { input, context: { Execution: { ...CONTEXT.Execution, Input: input } } };
        const bindings = { ...variable, states };
        if (state.Type === 'Choice') {
          await choose(name, state, bindings, wrong);
          continue;
        }
        const { Arguments, Seconds, Error: error, Cause } = state;
        await look(name, { Arguments, Seconds, Error: error, Cause }, bindings, wrong);
        // The input matters to what is sent only.
        if (input !== INPUTS[0]) continue;
        for (const result of results(name)) {
          const { Assign, Output } = state;
          await look(name, { Assign, Output }, { ...bindings, states: { ...states, result } }, wrong);
        }
      }
      for (const [index, { Assign, Output }] of (state.Catch ?? []).entries()) {
        for (const shape of ERRORS) {
          const states = { input: {}, context: CONTEXT, errorOutput: errorOutput(shape) };
          await look(`${name}.Catch[${index}]`, { Assign, Output }, { ...variable, states }, wrong);
        }
      }
    }
  }
  return [...wrong];
}

// ----------------------------------------------------------------------------------------------- this test

// As they were once; each must be found out.
const e = '$states.errorOutput';
const ONCE = [
  { expression: `${e}.Error & ': ' & ${e}.Cause & ' Nothing was touched.'`, of: ['a function should'] },
  { expression: `$parse(${e}.Cause).errorMessage`, of: ['JSON', 'undefined', 'a function should'] },
  { expression: `${e}.Cause`, of: ['undefined'] },
];

async function findsOut() {
  for (const { expression, of } of ONCE) {
    const Catch = [{ Assign: { cause: `{% ${expression} %}` } }];
    const found = await problems({ States: { Once: { Type: 'Task', Catch } } });
    for (const what of of) {
      if (!found.some((problem) => new RegExp(what).test(problem))) throw new Error(`${what} of ${expression} is not found`);
    }
  }
}

await findsOut();
evaluations = 0;
const definition = JSON.parse(readFileSync(join(root, 'statemachine/failover.asl.json'), 'utf8'));
const wrong = await problems(definition);
const states = Object.keys(definition.States).length;
if (states > MOST_STATES) wrong.push(`${states} states are more than ${MOST_STATES}`);
for (const problem of wrong.slice(0, 40)) console.error(problem);
if (wrong.length > 0) {
  console.error(`${wrong.length} expressions of the definition do not hold`);
  process.exit(1);
}
if (evaluations < 5000) throw new Error(`only ${evaluations} fields were evaluated`);
console.log(`${evaluations} fields of states were evaluated`);
