//! Operations: each is written once, by `#[utoipa::path]` above its handler, and goes from there into the router that answers it and into the
//! document that describes it. So no operation can be answered and not be described, or be described and not answered.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use utoipa::Path;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

use crate::document::{PROBLEMS, problem_name};
use crate::routes::State;

/// Where operations are put: the router, or the document.
pub(crate) trait Target: Sized {
    /// Adds the operation that `P` describes and `handler` answers.
    fn operation<P: Path + Described, H: Handler<T, State>, T: 'static>(self, handler: H) -> Self;
}

/// What an operation's description refers to. `#[utoipa::path]` makes it.
pub(crate) use utoipa::__dev::SchemaReferences as Described;

/// Adds operations to a [`Target`], each by its handler's name: `operations!(target; list_tasks, get_task)`.
macro_rules! operations {
    ($target:expr; $($handler:ident),+ $(,)?) => {
        ::pastey::paste! {{
            let target = $target;
            $(let target = target.operation::<[<__path_ $handler>], _, _>($handler);)+
            target
        }}
    };
}
pub(crate) use operations;

impl Target for Router<State> {
    fn operation<P: Path + Described, H: Handler<T, State>, T: 'static>(self, handler: H) -> Self {
        let path = P::path();
        P::methods().into_iter().fold(self, |router, method| {
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
            router.route(&path, on(method, handler.clone()))
        })
    }
}

impl Target for OpenApi {
    fn operation<P: Path + Described, H: Handler<T, State>, T: 'static>(mut self, _: H) -> Self {
        let mut operation = P::operation();
        let methods = P::methods();
        add_what_is_everywhere(&mut operation, &P::path(), &methods);
        self.paths.add_path_operation(P::path(), methods, operation);
        let mut schemas = Vec::new();
        P::schemas(&mut schemas);
        self.components.get_or_insert_default().schemas.extend(schemas);
        self
    }
}

/// The headers that every writing operation takes, and the problems that any may answer with.
fn add_what_is_everywhere(operation: &mut Operation, path: &str, methods: &[HttpMethod]) {
    let writes = !methods.contains(&HttpMethod::Get);
    let named = path.contains('{');
    if writes {
        let parameters = operation.parameters.get_or_insert_default();
        parameters.push(RefOr::T(text_header(
            "Idempotency-Key",
            "Makes a repeated request do nothing new for 24 hours, and be answered alike.",
            "7f3a0c52",
        )));
        if named {
            parameters.push(RefOr::T(text_header(
                "If-Match",
                "The `ETag` of the thing as it was read: a change to something that has changed is refused.",
                "\"3\"",
            )));
        }
    }
    for (status, applies, _) in PROBLEMS {
        if applies(writes, named) {
            let problem = Ref::from_response_name(problem_name(status));
            operation.responses.responses.entry(status.to_owned()).or_insert(RefOr::Ref(problem));
        }
    }
}

fn text_header(name: &str, description: &str, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)),
        ))
        .example(Some(example.into()))
        .build()
}
