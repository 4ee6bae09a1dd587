//! Forms as browsers send them, read into what the client asks for.

use std::collections::BTreeSet;

use app::act_by_link::Act;
use domain::channel::Channel;
use domain::link::Purpose;
use domain::text::{Letter, Notes};
use jiff::civil::{Date, Time};

/// The fields of a form. A name may stand there several times, as those of boxes do.
#[derive(Debug, Default)]
pub struct Fields(Vec<(String, String)>);

/// What is wrong with a form, by the field it is said at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// No rating was chosen.
    Rating,
    /// The review's text is too long.
    Text,
    /// Neither a day nor words.
    Wish,
    /// The wish's words are too long.
    Words,
    /// The day is none, or over.
    Date,
}

impl Mistake {
    /// The id of the field.
    pub fn field(self) -> &'static str {
        match self {
            Mistake::Rating => "rating-5",
            Mistake::Text => "text",
            Mistake::Wish | Mistake::Date => "date",
            Mistake::Words => "words",
        }
    }
}

impl Fields {
    /// Reads a body of `application/x-www-form-urlencoded`.
    pub fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// What was typed into a field, without the space around it.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, text)| text.trim())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// What the client asks for, on the page of a purpose. `None` for a page without a form. `today` is the first day that may be
    /// wished for.
    pub fn act(&self, purpose: Purpose, today: Date) -> Option<Result<Act, Mistake>> {
        let seen = self.text("seen").parse().ok();
        Some(match purpose {
            Purpose::Confirm => Ok(Act::Answer { comes: self.text("answer") == "yes", seen }),
            Purpose::Cancel => Ok(Act::Cancel { seen }),
            Purpose::Reschedule => self.wish(today),
            Purpose::Review => self.review(),
            Purpose::Preferences => {
                Ok(Act::Choose { marketing: self.text("marketing") == "on", channels: self.channels() })
            }
            Purpose::Unsubscribe => Ok(Act::Unsubscribe),
            Purpose::Calendar => return None,
        })
    }

    fn channels(&self) -> BTreeSet<Channel> {
        let named = |name: &str| Channel::ALL.into_iter().find(|channel| channel.name() == name);
        self.all("channel").filter_map(named).collect()
    }

    /// A wish for another time: day and time as staff can read them in any language, then the client's own words.
    fn wish(&self, today: Date) -> Result<Act, Mistake> {
        let (date, time, words) = (self.text("date"), self.text("time"), self.text("words"));
        let date = match date {
            "" => None,
            given => Some(given.parse::<Date>().ok().filter(|date| *date >= today).ok_or(Mistake::Date)?),
        };
        // A time that is none is words.
        let time = (!time.is_empty()).then(|| match time.parse::<Time>() {
            Ok(time) => time.strftime("%H:%M").to_string(),
            Err(_) => time.chars().take(20).collect(),
        });
        if date.is_none() && words.is_empty() {
            return Err(Mistake::Wish);
        }
        let at =
            [date.map(|date| date.to_string()), time].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let words = plain(words);
        let parts: Vec<&str> = [at.as_str(), &words].into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(", ").parse::<Letter>().map(Act::AskToMove).map_err(|_| Mistake::Words)
    }

    fn review(&self) -> Result<Act, Mistake> {
        let rating = self.text("rating").parse::<u8>().ok().and_then(|number| number.try_into().ok());
        let rating = rating.ok_or(Mistake::Rating)?;
        let text = plain(self.text("text")).parse::<Notes>().map_err(|_| Mistake::Text)?;
        Ok(Act::Review { rating, text: Some(text).filter(|text| !text.as_str().is_empty()) })
    }
}

/// Words without what only a machine would write: lines end as everywhere else here.
fn plain(words: &str) -> String {
    let words = words.replace("\r\n", "\n");
    words.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn act(purpose: Purpose, body: &str) -> Option<Result<Act, Mistake>> {
        Fields::read(body.as_bytes()).act(purpose, "2026-11-20".parse().unwrap())
    }

    #[rstest]
    #[case("date=2026-11-25&time=14%3A00&words=or+later", Ok("2026-11-25 14:00, or later"))]
    #[case("date=2026-11-20&time=&words=", Ok("2026-11-20"))]
    #[case(
        "date=&time=18:30&words=%D0%BB%D1%8E%D0%B1%D0%BE%D0%B9+%D0%B2%D0%B5%D1%87%D0%B5%D1%80%0D%0A%21",
        Ok("18:30, любой вечер\n!")
    )]
    #[case("date=2026-11-25&time=evening", Ok("2026-11-25 evening"))]
    #[case("date=2026-11-19", Err(Mistake::Date))]
    #[case("date=tomorrow", Err(Mistake::Date))]
    #[case("time=14:00&words=++", Err(Mistake::Wish))]
    #[case("", Err(Mistake::Wish))]
    fn s53_a_wish_says_when(#[case] body: &str, #[case] expected: Result<&str, Mistake>) {
        let expected = expected.map(|text| Act::AskToMove(text.parse().unwrap()));
        assert_eq!(act(Purpose::Reschedule, body), Some(expected));
    }

    #[test]
    fn texts_that_are_too_long_are_said_to_be() {
        let long = "x".repeat(2001);
        assert_eq!(act(Purpose::Reschedule, &format!("words={long}")), Some(Err(Mistake::Words)));
        assert_eq!(act(Purpose::Review, &format!("rating=5&text={long}")), Some(Err(Mistake::Text)));
    }

    #[rstest]
    #[case("rating=4&text=", Ok((4, None)))]
    #[case("rating=1&text=cold+coffee", Ok((1, Some("cold coffee"))))]
    #[case("text=good", Err(Mistake::Rating))]
    #[case("rating=0", Err(Mistake::Rating))]
    #[case("rating=6", Err(Mistake::Rating))]
    #[case("rating=five", Err(Mistake::Rating))]
    fn s74_a_review_has_a_rating(#[case] body: &str, #[case] expected: Result<(u8, Option<&str>), Mistake>) {
        let expected = expected.map(|(rating, text)| Act::Review {
            rating: rating.try_into().unwrap(),
            text: text.map(|text| text.parse().unwrap()),
        });
        assert_eq!(act(Purpose::Review, body), Some(expected));
    }

    #[test]
    fn s53_an_answer_is_no_unless_it_says_yes_and_says_what_was_seen() {
        let answer = |comes, seen| Some(Ok(Act::Answer { comes, seen }));
        assert_eq!(act(Purpose::Confirm, "answer=yes&seen=3"), answer(true, Some(3)));
        assert_eq!(act(Purpose::Confirm, "answer=no&seen=3"), answer(false, Some(3)));
        assert_eq!(act(Purpose::Confirm, "answer=yes"), answer(true, None));
        assert_eq!(act(Purpose::Cancel, "seen=x"), Some(Ok(Act::Cancel { seen: None })));
    }

    #[test]
    fn s43_boxes_that_are_not_ticked_are_chosen_against() {
        let choose = |marketing, channels: &[Channel]| {
            Some(Ok(Act::Choose { marketing, channels: channels.iter().copied().collect() }))
        };
        assert_eq!(act(Purpose::Preferences, ""), choose(false, &[]));
        let body = "marketing=on&channel=email&channel=sms&channel=fax";
        assert_eq!(act(Purpose::Preferences, body), choose(true, &[Channel::Email, Channel::Sms]));
        assert_eq!(act(Purpose::Unsubscribe, "List-Unsubscribe=One-Click"), Some(Ok(Act::Unsubscribe)));
        assert_eq!(act(Purpose::Calendar, ""), None);
    }
}
