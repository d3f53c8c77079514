//! Values that read from any JSON: of the type they want, or as nothing.
//! Strings are borrowed where they can be, and nothing is read twice.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A text; anything else reads as nothing, and so does `""`, which OpenAI sends
/// for absent ids.
#[derive(Default)]
pub(super) struct Word<'a>(Option<Cow<'a, str>>);

impl<'a> Word<'a> {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.get() == Some(text)
    }

    pub(super) fn into_string(self) -> Option<String> {
        self.0.map(Cow::into_owned).filter(|text| !text.is_empty())
    }
}

/// A number without its fraction; anything else reads as nothing.
#[derive(Default, Clone, Copy)]
pub(super) struct Whole(pub(super) Option<i64>);

/// The elements of an array; anything else reads as empty, and so does an
/// element that is not an object.
pub(super) struct List<T>(pub(super) Vec<T>);

/// An object; anything else reads as its default.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

/// The texts of an object; members of other types are left out.
#[derive(Default)]
pub(super) struct Words<'a>(pub(super) Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// An error that may be missing, a text, or an object with a `type`.
#[derive(Default)]
pub(super) enum ErrorJson<'a> {
    /// `null`, `""`, `false` or missing.
    #[default]
    Absent,
    /// Something else, with its `type` where it has one.
    Present(Option<Cow<'a, str>>),
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List(Vec::new())
    }
}

/// The visitor methods for values that read as nothing; what is left out is
/// written by the visitor itself.
macro_rules! nothing {
    (null) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }
    };
    (bool) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (number) => {
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (text) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
    (array) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
            while array.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
    (object) => {
        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// `Deserialize` by a visitor that takes any value.
macro_rules! any_value {
    ($type:ty, $visitor:expr) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }
    };
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = Word<'de>;
    nothing!(null);
    nothing!(bool);
    nothing!(number);
    nothing!(array);
    nothing!(object);

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
        Ok(Word(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
        Ok(Word(Some(Cow::Owned(text.to_owned()))))
    }
}

any_value!(Word<'a>, WordVisitor);

struct WholeVisitor;

impl<'de> Visitor<'de> for WholeVisitor {
    type Value = Whole;
    nothing!(null);
    nothing!(bool);
    nothing!(text);
    nothing!(array);
    nothing!(object);

    fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
        Ok(Whole(Some(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(i64::try_from(number).ok()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Whole, E> {
        // The cast drops the fraction and stays at the ends of the range.
        #[allow(clippy::cast_possible_truncation)]
        let whole = number as i64;
        Ok(Whole(number.is_finite().then_some(whole)))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;
    nothing!(null);
    nothing!(bool);
    nothing!(number);
    nothing!(text);
    nothing!(object);

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<List<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(Object(element)) = array.next_element()? {
            elements.push(element);
        }
        Ok(List(elements))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;
    nothing!(null);
    nothing!(bool);
    nothing!(number);
    nothing!(text);
    nothing!(array);

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Object)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words<'de>;
    nothing!(null);
    nothing!(bool);
    nothing!(number);
    nothing!(text);
    nothing!(array);

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Words<'de>, A::Error> {
        let mut words = Vec::new();
        while let Some((key, value)) = object.next_entry::<Word<'de>, Word<'de>>()? {
            if let (Some(key), Some(value)) = (key.0, value.0) {
                words.push((key, value));
            }
        }
        Ok(Words(words))
    }
}

any_value!(Words<'a>, WordsVisitor);

#[derive(serde::Deserialize)]
struct TypeJson<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Word<'a>,
}

struct ErrorVisitor;

impl<'de> Visitor<'de> for ErrorVisitor {
    type Value = ErrorJson<'de>;
    nothing!(null);

    fn visit_bool<E>(self, truth: bool) -> Result<ErrorJson<'de>, E> {
        Ok(if truth { ErrorJson::Present(None) } else { ErrorJson::Absent })
    }

    fn visit_str<E>(self, text: &str) -> Result<ErrorJson<'de>, E> {
        Ok(if text.is_empty() { ErrorJson::Absent } else { ErrorJson::Present(None) })
    }

    fn visit_i64<E>(self, _: i64) -> Result<ErrorJson<'de>, E> {
        Ok(ErrorJson::Present(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<ErrorJson<'de>, E> {
        Ok(ErrorJson::Present(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<ErrorJson<'de>, E> {
        Ok(ErrorJson::Present(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<ErrorJson<'de>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(ErrorJson::Present(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<ErrorJson<'de>, A::Error> {
        let error = TypeJson::deserialize(MapAccessDeserializer::new(object))?;
        Ok(ErrorJson::Present(error.kind.0))
    }
}

any_value!(ErrorJson<'a>, ErrorVisitor);
