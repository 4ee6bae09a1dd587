//! Operations: each is written once, by `#[utoipa::path]` above its handler, and goes from there into the router that answers it and into the
//! document that describes it. So no operation can be answered and not be described, or be described and not answered.
//!
//! Architecture invariant: no operation is there without a scope, and one is done for callers who have its scope and for nobody else.

use std::marker::PhantomData;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::{self, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use domain::access::Scope;
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::Path;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

use crate::call::Caller;
use crate::document::{PROBLEMS, problem_name, tell_of_the_limit};
use crate::examples;
use crate::problem::Problem;
use crate::routes::State;

/// Where operations are put: the routers, or the document.
pub(crate) trait Target: Sized {
    /// Adds the operation that `P` describes and `handler` answers, for callers who have the `scope`.
    fn operation<P: Described, H: Handler<T, State>, T: 'static>(self, scope: Scope, handler: H) -> Self;
}

/// What `#[utoipa::path]` says of an operation: what it is, its tags, and the schemas it refers to.
pub(crate) trait Described: Path + Tags<'static> + SchemaReferences {}

impl<P: Path + Tags<'static> + SchemaReferences> Described for P {}

/// Adds operations to a [`Target`], each by its handler's name, behind the scope that a caller needs for them:
/// `operations!(target; TasksRead => list_tasks, get_task; TasksWrite => close;)`.
macro_rules! operations {
    ($target:expr; $($scope:ident => $($handler:ident),+;)+) => {
        ::pastey::paste! {{
            let target = $target;
            $($(let target = target.operation::<[<__path_ $handler>], _, _>(
                ::domain::access::Scope::$scope,
                $handler,
            );)+)+
            target
        }}
    };
}
pub(crate) use operations;

/// Makes what answers one operation, behind the scope that it needs.
type Make = Box<dyn Fn() -> MethodRouter<State> + Send + Sync>;

/// Every operation by its path. The router of a path is made when the first request for it comes: a sandbox is asked for a few of them, and all of
/// their routers together were more than half of the instructions of its start.
#[derive(Default)]
pub(crate) struct Operations(Vec<AtPath>);

struct AtPath {
    /// With the names of its parameters: `/v1/bookings/{id}`.
    path: String,
    operations: Vec<Make>,
    router: OnceLock<Router>,
}

impl Target for Operations {
    // Of `P` the path and the methods only. What describes operations is not part of the function that answers them.
    fn operation<P: Described, H: Handler<T, State>, T: 'static>(mut self, scope: Scope, handler: H) -> Self {
        let path = P::path();
        let make: Make = Box::new(move || {
            let methods = P::methods().into_iter().fold(MethodRouter::new(), |router, method| {
                let method = match method {
                    HttpMethod::Get => MethodFilter::GET,
                    HttpMethod::Post => MethodFilter::POST,
                    HttpMethod::Put => MethodFilter::PUT,
                    HttpMethod::Delete => MethodFilter::DELETE,
                    HttpMethod::Options => MethodFilter::OPTIONS,
                    HttpMethod::Head => MethodFilter::HEAD,
                    HttpMethod::Patch => MethodFilter::PATCH,
                    HttpMethod::Trace => MethodFilter::TRACE,
                };
                router.on(method, handler.clone())
            });
            methods.route_layer(from_fn_with_state(scope, guarded))
        });
        match self.0.iter_mut().rfind(|at| at.path == path) {
            Some(at) => at.operations.push(make),
            None => self.0.push(AtPath { path, operations: vec![make], router: OnceLock::new() }),
        }
        self
    }
}

impl AtPath {
    /// All operations of the path together.
    fn operations(&self) -> MethodRouter<State> {
        self.operations.iter().fold(MethodRouter::new(), |all, make| all.merge(make()))
    }
}

impl Operations {
    /// The router of the operations that a request for this path can mean; none where there is no such path.
    pub(crate) fn router(&self, asked: &str, state: &State) -> Option<&Router> {
        let at = self.at(asked)?;
        Some(at.router.get_or_init(|| {
            Router::new()
                .route(&at.path, at.operations())
                .fallback(|| async { Problem::no_route() })
                .method_not_allowed_fallback(|| async { Problem::method() })
                .with_state(state.clone())
        }))
    }

    /// Of two paths that fit, the one with fewer parameters is meant: `/v1/clients/import` before `/v1/clients/{id}`.
    fn at(&self, asked: &str) -> Option<&AtPath> {
        let fitting = self.0.iter().filter(|at| fits(&at.path, asked));
        fitting.min_by_key(|at| parameters(&at.path))
    }
}

fn parameters(path: &str) -> usize {
    path.matches('{').count()
}

/// Whether the router of `path` may take what was asked for: as many segments, and the same where `path` has no parameter.
fn fits(path: &str, asked: &str) -> bool {
    let mut asked = asked.split('/');
    let each = path.split('/').all(|part| asked.next().is_some_and(|it| part == it || part.starts_with('{')));
    each && asked.next().is_none()
}

/// Goes on to the handler where the caller has the scope. The log keeps who wrote; ids are all that paths hold.
async fn guarded(
    extract::State(scope): extract::State<Scope>,
    caller: Result<Caller, Problem>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = caller.and_then(|caller| caller.may(scope).map(|()| caller));
    let caller = match allowed {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if method != Method::GET {
        let (business_id, who, status) =
            (&caller.business_id, &caller.principal.who, response.status().as_u16());
        tracing::info!(business.id = %business_id, %who, %method, path, status, "a caller wrote");
    }
    response
}

impl Target for OpenApi {
    fn operation<P: Described, H: Handler<T, State>, T: 'static>(mut self, scope: Scope, _: H) -> Self {
        let mut operation = P::operation();
        operation.security = Some(vec![SecurityRequirement::new("key", [scope.as_str()])]);
        operation.tags = Some(P::tags().into_iter().map(str::to_owned).collect());
        let methods = P::methods();
        add_what_is_everywhere(&mut operation, &P::path(), &methods);
        add_examples(&mut operation);
        self.paths.add_path_operation(P::path(), methods, operation);
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        self.components.get_or_insert_default().schemas.extend(schemas);
        self
    }
}

/// Where an operation stands that is there under several scopes alike: described once, with the path from the scope on.
pub(crate) trait Under: 'static {
    /// The path of the scope.
    const PREFIX: &'static str;
    /// What the operation's id ends with there.
    const NAME: &'static str;
    /// What its summary ends with there.
    const WORDS: &'static str;

    /// The scope's own parameters, of an operation that writes or one that does not.
    fn parameters(writes: bool) -> Vec<Parameter>;
}

/// The operation `P` under the scope `S`.
pub(crate) struct In<S, P>(PhantomData<(S, P)>);

impl<S: Under, P: Path> Path for In<S, P> {
    fn methods() -> Vec<HttpMethod> {
        P::methods()
    }

    fn path() -> String {
        format!("{}{}", S::PREFIX, P::path())
    }

    fn operation() -> Operation {
        let mut operation = P::operation();
        let own = S::parameters(writes(&P::methods())).into_iter().map(RefOr::T);
        operation.parameters = Some(own.chain(operation.parameters.into_iter().flatten()).collect());
        operation.operation_id = operation.operation_id.map(|id| id + S::NAME);
        operation.summary = operation.summary.map(|summary| summary + S::WORDS);
        operation
    }
}

impl<S, P: Tags<'static>> Tags<'static> for In<S, P> {
    fn tags() -> Vec<&'static str> {
        P::tags()
    }
}

impl<S, P: SchemaReferences> SchemaReferences for In<S, P> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        P::schemas(schemas);
    }
}

fn writes(methods: &[HttpMethod]) -> bool {
    !methods.contains(&HttpMethod::Get)
}

/// The headers that every writing operation takes, and the problems that any may answer with.
fn add_what_is_everywhere(operation: &mut Operation, path: &str, methods: &[HttpMethod]) {
    let writes = writes(methods);
    let named = path.contains('{');
    if writes {
        let parameters = operation.parameters.get_or_insert_default();
        parameters.push(RefOr::T(text_header(
            "Idempotency-Key",
            "Makes a repeated request do nothing new for 24 hours, and be answered alike.",
            "^[!-~]([ -~]{0,253}[!-~])?$",
            "7f3a0c52",
        )));
        if named {
            parameters.push(RefOr::T(text_header(
                "If-Match",
                "The `ETag` of the thing as it was read: a change to something that has changed is refused.",
                "^([0-9]{1,19}|\"[0-9]{1,19}\")$",
                "\"3\"",
            )));
        }
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            tell_of_the_limit(response);
        }
    }
    for (status, applies, _) in PROBLEMS {
        if applies(writes, named) {
            let problem = Ref::from_response_name(problem_name(status));
            operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::Ref(problem));
        }
    }
}

/// To each answer that is a thing, what such a thing looks like.
fn add_examples(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        let RefOr::T(response) = response else { continue };
        for content in response.content.values_mut() {
            if let RefOr::T(content) = content
                && let Some(RefOr::Ref(schema)) = &content.schema
            {
                content.example = schema.ref_location.rsplit('/').next().and_then(examples::answer);
            }
        }
    }
}

fn text_header(name: &str, description: &str, pattern: &str, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))))
        .example(Some(example.into()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Operations {
        crate::routes::operations(Operations::default())
    }

    #[test]
    fn every_path_is_found_and_none_is_taken_for_another() {
        let operations = paths();
        assert!(operations.0.len() > 80);
        for at in &operations.0 {
            let asked: Vec<&str> =
                at.path.split('/').map(|part| if part.starts_with('{') { "01a2" } else { part }).collect();
            assert_eq!(operations.at(&asked.join("/")).unwrap().path, at.path);
            assert!(operations.at(&format!("{}/", at.path)).is_none_or(|other| other.path != at.path));
        }
        assert!(operations.at("/v1/nothing").is_none());
        assert!(operations.at("/").is_none());
    }

    #[test]
    fn no_two_operations_claim_the_same_path_and_method() {
        for at in paths().0 {
            // Axum says so by panicking when they are put together.
            let router = Router::new().route(&at.path, at.operations());
            assert!(router.has_routes(), "{}", at.path);
        }
    }

    #[test]
    fn of_two_paths_that_fit_the_same_request_one_has_fewer_parameters() {
        let operations = paths();
        let same = |one: &str, other: &str| one == other || one.starts_with('{') || other.starts_with('{');
        for (number, one) in operations.0.iter().enumerate() {
            for other in &operations.0[..number] {
                let (one, other) = (&one.path, &other.path);
                let alike = one.split('/').count() == other.split('/').count()
                    && one.split('/').zip(other.split('/')).all(|(one, other)| same(one, other));
                assert!(!alike || parameters(one) != parameters(other), "{one} or {other}");
            }
        }
    }

    /// The scope in the document is the one that is checked: both come from the list of operations.
    #[test]
    fn what_is_read_needs_no_more_than_a_scope_for_reading() {
        let document = crate::openapi().unwrap();
        let mut operations = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let scope = operation["security"][0]["key"][0].as_str().unwrap();
                let reads = scope.ends_with(":read");
                assert!(
                    method != "get" || reads,
                    "{method} {path} needs {scope}, which is for more than reading"
                );
                operations += 1;
            }
        }
        assert!(operations > 100);
    }
}
