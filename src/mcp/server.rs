//! The server as the SDK sees it: the list of tools, and one call after the other or beside it.

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};

use super::answers::ToolAnswer;
use super::arguments::{ToolArguments, check};
use super::consent::{Consent, Questions, Sensitive, client_name, is_of_later_era};
use super::follow::{Followed, follow};
use super::jobs::{JobCommand, Jobs};
use super::mask::Mask;
use super::pages::{KeptAnswers, Page, lines, shortened};
use super::refused::{RefusedCall, given};
use super::tools::{Definition, Limit, TOOLS, ToolCall};
use crate::approval::{self, ApprovalSubject};
use crate::audit::{AuditChannel, AuditOrigin, AuditText};
use crate::config::{self, Project, Source};
use crate::environment::Environment;
use crate::error::{Errors, Result, suggest};
use crate::paths::Paths;

/// What a client tells its model of the server.
const INSTRUCTIONS: &str = "devk runs this repository's Helm stack on a local Kubernetes cluster. `status` first; `up` \
    if no session runs. Saved files go live by themselves: after an edit call `settle`, which says whether it is live \
    and what broke. `ports` has the addresses. Errors carry a code and a hint with the next command.";
/// So long a client may keep the list of tools: it changes with the program alone.
const LIST_TTL_MS: u64 = 3_600_000;
/// So long a question waits for a look at what runs.
const LOOK: Limit = Limit::Ends(std::time::Duration::from_secs(10));

/// One server for one client and one project.
#[derive(Debug)]
pub(super) struct McpServer {
    source: Source,
    paths: Paths,
    environment: Environment,
    jobs: Jobs,
    kept: KeptAnswers,
    questions: Questions,
}

impl ServerHandler for McpServer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        let server = Implementation::new("devk", env!("CARGO_PKG_VERSION")).with_title("devk");
        ServerConfig::new(capabilities)
            .with_server_info(server)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list =
            ListToolsResult::with_all_items(TOOLS.iter().map(Definition::tool).collect());
        if is_of_later_era(&context) {
            list.ttl_ms = Some(LIST_TTL_MS);
            list.cache_scope = Some(CacheScope::Public);
        }
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = TOOLS.iter().find(|tool| tool.name == request.name);
        let tool = tool.ok_or_else(|| unknown(&request.name))?;
        let arguments = request.arguments.clone().unwrap_or_default();
        let arguments = match check(tool.name, tool.arguments, arguments) {
            Ok(arguments) => arguments,
            Err(errors) => return self.respond(tool, ToolAnswer::errors(&errors)).await,
        };
        if let Some(cursor) = arguments.text("cursor") {
            let page = self.kept.at(cursor);
            return match page {
                Ok(page) => Ok(CallToolResult::success(blocks(page)).into()),
                Err(error) => self.respond(tool, ToolAnswer::error(error)).await,
            };
        }
        let call = tool.call(&arguments);
        let mut origin = self.origin(tool, &context).await?;
        // Whoever joins a removal that is on asks for nothing new.
        if arguments.flag("delete") == Some(true) && !self.jobs.has(&call.command) {
            match self.consent(&call, &arguments, &request, &context).await {
                Ok(Consent::Given) => origin.approval = Some(given(&arguments)),
                Ok(Consent::Asks(required)) => return Ok((*required).into()),
                Err(errors) => {
                    let refused = RefusedCall {
                        call: &call,
                        origin,
                        source: &self.source,
                    };
                    let errors = refused.record(&self.paths, &self.mask().await?, errors);
                    return self.respond(tool, ToolAnswer::errors(&errors)).await;
                }
            }
        }
        let answer = self.run(tool, &arguments, call, origin, &context).await?;
        self.respond(tool, answer).await
    }
}

impl McpServer {
    pub(super) fn new(source: Source, paths: Paths, environment: Environment, jobs: Jobs) -> Self {
        Self {
            source,
            paths,
            environment,
            jobs,
            kept: KeptAnswers::default(),
            questions: Questions::default(),
        }
    }

    async fn run(
        &self,
        tool: &Definition,
        arguments: &ToolArguments,
        call: ToolCall,
        origin: AuditOrigin,
        context: &RequestContext<RoleServer>,
    ) -> Result<ToolAnswer, ErrorData> {
        let job = match tool.is_shared() {
            true => self.jobs.join(call.command, origin),
            false => self.jobs.start(call.command, origin),
        };
        let mask = self.mask().await?;
        match follow(&job, call.limit, context, &mask).await {
            Followed::Ended(ended) => Ok(match ended.as_ref() {
                Ok(ended) => ToolAnswer::of(tool.name, arguments, ended),
                Err(error) => ToolAnswer::error(error.clone()),
            }),
            Followed::Working(doing) => Ok(ToolAnswer::working(tool.name, &doing)),
            Followed::TimedOut(seconds) => Ok(ToolAnswer::timed_out(tool.name, seconds)),
            // Nobody waits for it.
            Followed::Cancelled => Err(ErrorData::internal_error("the call was cancelled", None)),
        }
    }

    /// The response with nothing in it that must not be told.
    async fn respond(
        &self,
        tool: &Definition,
        answer: ToolAnswer,
    ) -> Result<CallToolResponse, ErrorData> {
        // A call may have made the secrets that its answer must not show.
        let document = self.mask().await?.document(answer.document);
        let structured =
            (tool.is_structured() && !answer.is_error).then(|| shortened(document.clone()));
        let beside = structured
            .as_ref()
            .map_or(0, |structured| structured.to_string().len());
        let page = self.kept.first(&lines(&document), beside);
        let page = page.map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
        let mut result = match answer.is_error {
            true => CallToolResult::error(blocks(page)),
            false => CallToolResult::success(blocks(page)),
        };
        result.structured_content = structured;
        Ok(result.into())
    }

    /// What the command of a call records of the client, if it records anything.
    async fn origin(
        &self,
        tool: &Definition,
        context: &RequestContext<RoleServer>,
    ) -> Result<AuditOrigin, ErrorData> {
        let name = client_name(context);
        let mut origin = AuditOrigin::new(AuditChannel::Mcp);
        if tool.changes_something() && !name.is_empty() {
            let mask = self.mask().await?;
            origin.client = Some(AuditText::masked(&name, |text| mask.text(text)));
        }
        Ok(origin)
    }

    async fn mask(&self) -> Result<Mask, ErrorData> {
        let (source, paths) = (self.source.clone(), self.paths.clone());
        let environment = self.environment.clone();
        let gathered = tokio::task::spawn_blocking(move || Mask::of(&source, &paths, &environment));
        // Without its masks no answer is given.
        gathered
            .await
            .map_err(|e| ErrorData::internal_error(e.to_string(), None))
    }

    /// Asks a person about a call.
    async fn consent(
        &self,
        call: &ToolCall,
        arguments: &ToolArguments,
        request: &CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<Consent, Errors> {
        let project = project(&self.source, &self.paths)?;
        let subject = ApprovalSubject {
            project: project.id.clone(),
            folder: project.root.clone(),
            command: call.words(),
            preview: None,
        };
        if let Some(id) = arguments.text("approval") {
            approval::take(&self.paths, &subject, id)?;
            return Ok(Consent::Given);
        }
        let what = self.what_goes(&project, context).await;
        let call = Sensitive {
            subject,
            what,
            request,
            context,
        };
        Ok(self.questions.ask(&self.paths, &call).await?)
    }

    /// What `down --delete` would remove, as far as a look at what runs can tell.
    async fn what_goes(
        &self,
        project: &Project,
        context: &RequestContext<RoleServer>,
    ) -> Vec<String> {
        let look = JobCommand {
            args: ["status", "--format", "json"].map(str::to_owned).to_vec(),
            input: None,
        };
        let origin = AuditOrigin::new(AuditChannel::Mcp);
        let job = self.jobs.start(look, origin);
        let status = match follow(&job, LOOK, context, &Mask::default()).await {
            Followed::Ended(ended) => match ended.as_ref() {
                Ok(ended) => serde_json::from_str(&ended.stdout).unwrap_or_default(),
                Err(_) => Value::Null,
            },
            _ => Value::Null,
        };
        removal(project, &status)
    }
}

fn project(source: &Source, paths: &Paths) -> Result<Project, Errors> {
    config::load_running(source, paths).map(|running| running.project)
}

fn unknown(name: &str) -> ErrorData {
    let names = TOOLS.iter().map(|tool| tool.name);
    let meant = suggest(name, names).map(|near| format!("; did you mean `{near}`?"));
    let what = format!("there is no tool `{name}`{}", meant.unwrap_or_default());
    ErrorData::invalid_params(what, None)
}

fn blocks(page: Page) -> Vec<ContentBlock> {
    let rest = page.rest.map(|rest| {
        let what = json!({"cursor": rest.cursor, "bytes_left": rest.bytes, "hint": "call `status` with this cursor for the rest"});
        ContentBlock::text(what.to_string())
    });
    [ContentBlock::text(page.text)]
        .into_iter()
        .chain(rest)
        .collect()
}

/// What would be removed, as lines for a person.
fn removal(project: &Project, status: &Value) -> Vec<String> {
    let count = |key: &str| {
        status
            .get(key)
            .and_then(Value::as_array)
            .map_or(0, Vec::len)
    };
    let mut what = vec![
        format!("project `{}` in {}", project.id, project.root.display()),
        "removed for good: releases, volumes with their data, namespace, generated secrets, ports, images".to_owned(),
    ];
    let cluster = status.get("cluster");
    let text = |key: &str| {
        cluster
            .and_then(|cluster| cluster.get(key))
            .and_then(Value::as_str)
    };
    match text("state") {
        None => what
            .push("what runs of it could not be looked at; `devk status` may tell why".to_owned()),
        Some(state) => {
            let (name, releases, pods) = (
                text("name").unwrap_or_default(),
                count("releases"),
                count("pods"),
            );
            what.push(format!(
                "cluster `{name}` is {state}: {releases} release(s), {pods} pod(s) of the project"
            ));
        }
    }
    if cluster.and_then(|cluster| cluster.get("created_by_devk")) == Some(&json!(true)) {
        what.push("the cluster goes too if no other project lives there".to_owned());
    }
    what
}
