//! A call that destroys something asks a person first: through the protocol where the client can show a question
//! (`elicitation/create` in the earlier era, an input that the call requires in the later one), else by an approval
//! that `devk approve ID` gives. Only the client answers such a question; what a model writes into the arguments of a
//! call is no answer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, ServerRequest,
};
use rmcp::service::RequestContext;
use serde_json::json;

use crate::approval::{self, ApprovalRequest, ApprovalSubject};
use crate::error::{Code, Error, Result, internal};
use crate::hex;
use crate::paths::Paths;

/// The key of the question, and of the box that the person ticks.
const QUESTION: &str = "confirm";
const BOX: &str = "delete";
/// So long a question can be answered.
const VALID: Duration = Duration::from_secs(600);
/// So many questions may be open.
const MAX_OPEN: usize = 32;
/// Of a client's name so much is kept.
const MAX_CLIENT_CHARS: usize = 60;

/// The questions that clients of the later era bring the answers to.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<HashMap<String, (ApprovalSubject, Instant)>>);

/// What a person says, or how one is asked.
#[derive(Debug)]
pub(super) enum Consent {
    Given,
    /// The client asks, and calls again with the answer.
    Asks(Box<InputRequiredResult>),
}

/// The call that needs a person's consent.
#[derive(Debug)]
pub(super) struct Sensitive<'a> {
    pub subject: ApprovalSubject,
    /// What it would do, as lines.
    pub what: Vec<String>,
    pub request: &'a CallToolRequestParams,
    pub context: &'a RequestContext<RoleServer>,
}

impl Questions {
    /// Asks the person.
    ///
    /// # Errors
    /// [`Code::ApprovalDeclined`] if the person says no; [`Code::ApprovalNeeded`] with the command to type if the client
    /// cannot ask.
    pub(super) async fn ask(&self, paths: &Paths, call: &Sensitive<'_>) -> Result<Consent> {
        if !call.can_ask() {
            return Err(call.needs_approval(paths));
        }
        if !is_of_later_era(call.context) {
            return call.elicit(paths).await;
        }
        let answers = call.request.input_responses.as_ref();
        let state = call.request.request_state.as_deref();
        match answers.zip(state) {
            Some((answers, state)) if self.close(state, &call.subject) => {
                let answer = answers.get(QUESTION).cloned().unwrap_or_default();
                let answer = serde_json::from_value(answer).map_err(|_| call.declined())?;
                call.consent(&answer)
            }
            // An answer to another question is none: the person is asked again.
            _ => {
                let state = self.open(&call.subject)?;
                let question = InputRequest::Elicitation(ElicitRequest::new(call.question()?));
                let questions = [(QUESTION.to_owned(), question)].into();
                let required = InputRequiredResult::new(Some(questions), Some(state));
                Ok(Consent::Asks(Box::new(required)))
            }
        }
    }

    fn open(&self, subject: &ApprovalSubject) -> Result<String> {
        let state = hex::random::<16>().map_err(|e| internal(&e))?;
        if let Ok(mut open) = self.0.lock() {
            open.retain(|_, (_, since)| since.elapsed() < VALID);
            if open.len() >= MAX_OPEN {
                open.clear();
            }
            open.insert(state.clone(), (subject.clone(), Instant::now()));
        }
        Ok(state)
    }

    /// Whether this question was open, for this very call; it is not any more.
    fn close(&self, state: &str, subject: &ApprovalSubject) -> bool {
        let removed = self.0.lock().ok().and_then(|mut open| open.remove(state));
        removed.is_some_and(|(asked, since)| asked == *subject && since.elapsed() < VALID)
    }
}

/// Without `initialize`: the request says by itself what the client can.
pub(super) fn is_of_later_era(context: &RequestContext<RoleServer>) -> bool {
    let version = context.protocol_version();
    version.is_some_and(|version| !version.has_initialize())
}

/// The name that a client gives itself; empty for none.
pub(super) fn client_name(context: &RequestContext<RoleServer>) -> String {
    let client = context.client_info().map(|client| client.name);
    let name = client.unwrap_or_default();
    let shown = name.chars().filter(|c| !c.is_control());
    shown.take(MAX_CLIENT_CHARS).collect()
}

impl Sensitive<'_> {
    /// The client can show a form. One that names no mode means forms.
    fn can_ask(&self) -> bool {
        let capabilities = self.context.client_capabilities();
        let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation);
        elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
    }

    fn command(&self) -> String {
        format!("devk {}", self.subject.command.join(" "))
    }

    fn question(&self) -> Result<ElicitRequestParams> {
        let schema = json!({"type": "object", "required": [BOX], "properties": {
            BOX: {"type": "boolean", "title": format!("Run `{}`", self.command()), "default": false},
        }});
        let requested_schema: ElicitationSchema =
            serde_json::from_value(schema).map_err(|e| internal(&e))?;
        let what = self.what.join("\n");
        let message = format!("The agent asks to run `{}`:\n{what}", self.command());
        Ok(ElicitRequestParams::FormElicitationParams {
            meta: None,
            message,
            requested_schema,
        })
    }

    async fn elicit(&self, paths: &Paths) -> Result<Consent> {
        let question = ServerRequest::ElicitRequest(ElicitRequest::new(self.question()?));
        let answer = tokio::select! {
            answer = self.context.peer.send_request(question) => answer,
            () = self.context.ct.cancelled() => return Err(self.declined()),
        };
        match answer {
            Ok(ClientResult::ElicitResult(answer)) => self.consent(&answer),
            // It can show no question after all.
            _ => Err(self.needs_approval(paths)),
        }
    }

    fn consent(&self, answer: &ElicitResult) -> Result<Consent> {
        let ticked = answer.content.as_ref().and_then(|content| content.get(BOX));
        let is_yes = answer.action == ElicitationAction::Accept && ticked == Some(&true.into());
        is_yes
            .then_some(Consent::Given)
            .ok_or_else(|| self.declined())
    }

    fn declined(&self) -> Error {
        let what = format!("the person did not agree to `{}`", self.command());
        Error::new(Code::ApprovalDeclined, what).hint("go on without it, or ask the person why")
    }

    fn needs_approval(&self, paths: &Paths) -> Error {
        let request = ApprovalRequest {
            what: self.what.clone(),
            client: client_name(self.context),
            ..ApprovalRequest::default()
        };
        match approval::request(paths, &self.subject, request) {
            Ok(approval) => approval::needed(&approval),
            Err(error) => error,
        }
    }
}
