//! Values on their way into a statement, and out of a row.

use std::borrow::Cow;

use postgres::types::{FromSql, Type};
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::{Error, Result};

/// What can be bound to a parameter. A truth value is a number, 0 or 1.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Nothing, where a value of this type could stand.
    Null(Type),
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Blob(&'a [u8]),
    /// Many texts, for one statement over many rows; PostgreSQL only.
    Texts(Vec<Option<&'a str>>),
    /// Many numbers; PostgreSQL only.
    Ints(Vec<i64>),
    /// Many strings of bytes; PostgreSQL only.
    Blobs(Vec<Option<&'a [u8]>>),
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null(_) => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Texts(_) | Value::Ints(_) | Value::Blobs(_) => return Err(rusqlite::Error::InvalidQuery),
        }))
    }
}

/// What can become a [`Value`].
pub trait ToValue: Sync {
    /// The value.
    fn to_value(&self) -> Value<'_>;
}

/// What has a type even where there is no value.
pub trait Typed {
    /// The type.
    const TYPE: Type;
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (*self).to_value()
    }
}

impl<T: Typed + ?Sized> Typed for &T {
    const TYPE: Type = T::TYPE;
}

impl<T: ToValue + Typed> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::TYPE), ToValue::to_value)
    }
}

impl ToValue for Value<'_> {
    fn to_value(&self) -> Value<'_> {
        self.clone()
    }
}

macro_rules! values {
    ($($rust:ty: $kind:ident, |$value:ident| $made:expr;)+) => {
        $(impl ToValue for $rust {
            fn to_value(&self) -> Value<'_> {
                let $value = self;
                $made
            }
        }
        impl Typed for $rust {
            const TYPE: Type = Type::$kind;
        })+
    };
}

values! {
    i64: INT8, |value| Value::Int(*value);
    i32: INT8, |value| Value::Int(i64::from(*value));
    u32: INT8, |value| Value::Int(i64::from(*value));
    u16: INT8, |value| Value::Int(i64::from(*value));
    bool: INT8, |value| Value::Int(i64::from(*value));
    f64: FLOAT8, |value| Value::Real(*value);
    str: TEXT, |value| Value::Text(Cow::Borrowed(value));
    String: TEXT, |value| Value::Text(Cow::Borrowed(value));
    Cow<'_, str>: TEXT, |value| Value::Text(Cow::Borrowed(value));
    [u8]: BYTEA, |value| Value::Blob(value);
    [u8; 32]: BYTEA, |value| Value::Blob(value);
    Vec<u8>: BYTEA, |value| Value::Blob(value);
}

impl ToValue for usize {
    fn to_value(&self) -> Value<'_> {
        Value::Int(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

/// The parameters of a statement, in order.
pub trait Params {
    /// Hands the values over.
    fn with<T>(&self, use_them: impl FnOnce(&[Value<'_>]) -> T) -> T;
}

impl Params for [&dyn ToValue; 0] {
    fn with<T>(&self, use_them: impl FnOnce(&[Value<'_>]) -> T) -> T {
        use_them(&[])
    }
}

impl Params for &[&dyn ToValue] {
    fn with<T>(&self, use_them: impl FnOnce(&[Value<'_>]) -> T) -> T {
        let values: Vec<_> = self.iter().map(|value| value.to_value()).collect();
        use_them(&values)
    }
}

/// Parameters of one type, however many.
pub struct Many<T>(Vec<T>);

/// Parameters of one type, however many.
pub fn params_from_iter<T: ToValue>(values: impl IntoIterator<Item = T>) -> Many<T> {
    Many(values.into_iter().collect())
}

impl<T: ToValue> Params for Many<T> {
    fn with<R>(&self, use_them: impl FnOnce(&[Value<'_>]) -> R) -> R {
        let values: Vec<_> = self.0.iter().map(ToValue::to_value).collect();
        use_them(&values)
    }
}

macro_rules! arrays {
    ($($length:literal)+) => {
        $(impl<V: ToValue> Params for [V; $length] {
            fn with<T>(&self, use_them: impl FnOnce(&[Value<'_>]) -> T) -> T {
                use_them(&self.each_ref().map(|value| value.to_value()))
            }
        })+
    };
}

arrays!(1 2 3 4 5 6);

macro_rules! tuples {
    ($($($name:ident $index:tt),+;)+) => {
        $(impl<$($name: ToValue),+> Params for ($($name,)+) {
            fn with<T>(&self, use_them: impl FnOnce(&[Value<'_>]) -> T) -> T {
                use_them(&[$(self.$index.to_value()),+])
            }
        })+
    };
}

tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
}

/// What a column can be read as.
pub trait Column: rusqlite::types::FromSql {
    /// From the bytes of PostgreSQL; none for NULL.
    ///
    /// # Errors
    /// When they are something else.
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<Self>;
}

fn there(bytes: Option<&[u8]>) -> Result<&[u8]> {
    bytes.ok_or(Error::Unreadable)
}

fn read<'a, T: FromSql<'a>>(kind: &Type, bytes: &'a [u8]) -> Result<T> {
    T::from_sql(kind, bytes).map_err(|_| Error::Unreadable)
}

impl Column for i64 {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<i64> {
        let bytes = there(bytes)?;
        match *kind {
            Type::INT8 => read(kind, bytes),
            Type::INT4 => read::<i32>(kind, bytes).map(i64::from),
            Type::INT2 => read::<i16>(kind, bytes).map(i64::from),
            Type::BOOL => read::<bool>(kind, bytes).map(i64::from),
            _ => Err(Error::Unreadable),
        }
    }
}

impl Column for bool {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<bool> {
        i64::from_bytes(kind, bytes).map(|number| number != 0)
    }
}

impl Column for i32 {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<i32> {
        i32::try_from(i64::from_bytes(kind, bytes)?).map_err(|_| Error::Unreadable)
    }
}

impl Column for u32 {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<u32> {
        u32::try_from(i64::from_bytes(kind, bytes)?).map_err(|_| Error::Unreadable)
    }
}

impl Column for f64 {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<f64> {
        match *kind {
            Type::FLOAT8 => read(kind, there(bytes)?),
            #[allow(clippy::cast_precision_loss, reason = "as SQLite reads it")]
            _ => i64::from_bytes(kind, bytes).map(|number| number as f64),
        }
    }
}

impl Column for String {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<String> {
        match *kind {
            Type::TEXT | Type::VARCHAR | Type::UNKNOWN | Type::NAME | Type::BPCHAR => read(kind, there(bytes)?),
            _ => Err(Error::Unreadable),
        }
    }
}

impl Column for Vec<u8> {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<Vec<u8>> {
        if *kind == Type::BYTEA { read(kind, there(bytes)?) } else { Err(Error::Unreadable) }
    }
}

impl Column for [u8; 32] {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<[u8; 32]> {
        Vec::from_bytes(kind, bytes)?.try_into().map_err(|_| Error::Unreadable)
    }
}

impl<T: Column> Column for Option<T> {
    fn from_bytes(kind: &Type, bytes: Option<&[u8]>) -> Result<Option<T>> {
        bytes.map(|bytes| T::from_bytes(kind, Some(bytes))).transpose()
    }
}

/// A column as PostgreSQL sends it.
struct Raw<'a>(Type, Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(kind: &Type, bytes: &'a [u8]) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(kind.clone(), Some(bytes)))
    }

    fn from_sql_null(kind: &Type) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(kind.clone(), None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a column of a row of PostgreSQL.
pub(super) fn of_postgres<T: Column>(row: &postgres::Row, index: usize) -> Result<T> {
    let Raw(kind, bytes) = row.try_get(index)?;
    T::from_bytes(&kind, bytes)
}

/// Names a column.
pub trait ColumnIndex {
    /// Its number in a row of SQLite.
    ///
    /// # Errors
    /// When there is none of that name.
    fn of_sqlite(&self, row: &rusqlite::Row<'_>) -> Result<usize>;
    /// Its number in a row of PostgreSQL.
    ///
    /// # Errors
    /// When there is none of that name.
    fn of_postgres(&self, row: &postgres::Row) -> Result<usize>;
}

impl ColumnIndex for usize {
    fn of_sqlite(&self, _: &rusqlite::Row<'_>) -> Result<usize> {
        Ok(*self)
    }

    fn of_postgres(&self, row: &postgres::Row) -> Result<usize> {
        if *self < row.len() { Ok(*self) } else { Err(Error::Unreadable) }
    }
}

impl ColumnIndex for &str {
    fn of_sqlite(&self, row: &rusqlite::Row<'_>) -> Result<usize> {
        Ok(row.as_ref().column_index(self)?)
    }

    fn of_postgres(&self, row: &postgres::Row) -> Result<usize> {
        row.columns().iter().position(|column| column.name() == *self).ok_or(Error::Unreadable)
    }
}
