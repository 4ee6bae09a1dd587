//! A provider on this machine, which answers as one was recorded to answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// When every answer says that it was given.
pub const DATE: &str = "Mon, 23 Nov 2026 10:00:00 GMT";

/// What a provider was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

/// A provider that answers as it is told to, one request after another.
#[derive(Debug)]
pub struct Recorded {
    url: String,
    asked: Receiver<Asked>,
}

impl Recorded {
    /// Gives these answers, one a connection, and then is gone: HTTP status and body. Status 0 hangs up instead of answering.
    pub fn answering(answers: &[(u16, &str)]) -> Self {
        let mut next = answers
            .iter()
            .map(|(status, body)| (*status, (*body).to_owned()))
            .collect::<Vec<_>>()
            .into_iter();
        Self::serving(answers.len(), move |_| next.next().expect("no more than that many ask"))
    }

    /// Answers each request as `answer` says.
    pub fn deciding(answer: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        Self::serving(usize::MAX, answer)
    }

    fn serving(connections: usize, mut answer: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("somebody calls");
                let request = read(&mut stream);
                let (status, body) = answer(&request);
                if tell.send(request).is_err() {
                    return;
                }
                let length = body.len();
                if status != 0 {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ndate: {DATE}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                    );
                    stream.write_all((head + &body).as_bytes()).expect("the caller listens");
                }
            }
        });
        Self { url, asked }
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked since it was last looked at.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

/// One request with a `content-length`.
fn read(stream: &mut TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok())
                .unwrap_or(0_usize);
            if body.len() >= length {
                return Asked { head: head.to_owned(), body: body.to_owned() };
            }
        }
        match stream.read(&mut part).expect("the caller goes on") {
            0 => return Asked { head: text.into_owned(), body: String::new() },
            count => bytes.extend_from_slice(&part[..count]),
        }
    }
}
