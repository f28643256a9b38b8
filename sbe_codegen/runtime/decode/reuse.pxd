"""Objects that are let go of at once, taken again: messages, tuples of `astuple`, ints in them.

Most of what decoding a message costs is CPython making and freeing objects, which a consumer has
dropped by the time the next frame comes. A message's memory is kept when the message dies.
A tuple is kept when it is handed out; if nobody else refers to it when it is its turn
again (a reference count of 1), its values are replaced, and those of its ints and floats that
nobody else refers to are given their new value where they are. `zip` reuses its tuples in the same
way. Whatever anybody still holds is left alone.

What can be found while it is changed would change in somebody's hand. So, from taking an object back to
handing it out, no Python code runs: no attribute is read, nothing is looked up, and nothing that
the cycle collector knows is made, all of which can run finalizers, callbacks, profilers and other threads.
Values that need any of that are made before. What is replaced meanwhile runs nothing when it dies
either: kept tuples hold exact ints, floats and strs, None, and members of enums, which live as long as the
module; never what refers to a frame. And the collector does not know these tuples, whose values
can't be parts of a cycle: `gc.get_objects` never gives one.

Everything here needs the GIL, and how CPython 3.11 to 3.13 lays out its ints (`cpython/longintrepr.h`).
`values` tries that out when it is imported; where it does not hold, on other interpreters and in
free-threaded builds, objects are made anew each time. So they are where Cython traces lines, since a
tracer is Python code, and where SBE_REUSE is 0 when `values` is imported.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport int64_t, uint64_t


cdef extern from *:
    """
    #ifndef SBE_REUSE
    #define SBE_REUSE

    #if defined(Py_GIL_DISABLED) || defined(PYPY_VERSION) || PY_VERSION_HEX >= 0x030E0000 \\
            || (defined(CYTHON_TRACE_NOGIL) && CYTHON_TRACE_NOGIL)
    #define SBE_KNOWN_INTS 0
    #elif PY_VERSION_HEX >= 0x030C0000
    #define SBE_KNOWN_INTS 1
    #define SBE_DIGITS(number) ((number)->long_value.ob_digit)
    #define SBE_DIGIT_COUNT(number) ((number)->long_value.lv_tag >> 3)
    #define SBE_SET_SIGN(number, count, negative) \\
        ((number)->long_value.lv_tag = ((uintptr_t)(count) << 3) | ((negative) ? 2 : 0))
    #else
    #define SBE_KNOWN_INTS 1
    #define SBE_DIGITS(number) ((number)->ob_digit)
    #define SBE_DIGIT_COUNT(number) ((size_t)(Py_SIZE(number) < 0 ? -Py_SIZE(number) : Py_SIZE(number)))
    #define SBE_SET_SIGN(number, count, negative) \\
        Py_SET_SIZE(number, (negative) ? -(Py_ssize_t)(count) : (Py_ssize_t)(count))
    #endif

    /* Gives an int that nobody else has a new value, and 1; or 0 where it has no room for that. */
    static inline int sbe_change_int(PyObject *object, uint64_t size, int negative)
    {
    #if SBE_KNOWN_INTS && PyLong_SHIFT == 30
        PyLongObject *number = (PyLongObject *)object;
        size_t count = size >> 30 ? (size >> 60 ? 3 : 2) : 1;
        if (count > SBE_DIGIT_COUNT(number)) return 0;
        SBE_DIGITS(number)[0] = (digit)(size & PyLong_MASK);
        if (count > 1) SBE_DIGITS(number)[1] = (digit)(size >> 30 & PyLong_MASK);
        if (count > 2) SBE_DIGITS(number)[2] = (digit)(size >> 60);
        SBE_SET_SIGN(number, count, negative);
        return 1;
    #else
        (void)object; (void)size; (void)negative;
        return 0;
    #endif
    }

    typedef struct { PyObject *kept[2]; unsigned turn; } sbe_kept_tuples;

    /* A tuple that nobody else has or can find, with values in it or NULLs. */
    static inline PyObject *sbe_reused_tuple(sbe_kept_tuples *tuples, Py_ssize_t size)
    {
        PyObject *tuple = tuples->kept[tuples->turn ^= 1];
        if (tuple != NULL) {
            tuples->kept[tuples->turn] = NULL;
            if (Py_REFCNT(tuple) == 1) return tuple;
            Py_DECREF(tuple);
        }
        tuple = PyTuple_New(size);
        if (tuple != NULL) PyObject_GC_UnTrack(tuple);
        return tuple;
    }

    /* A tuple that is not kept and may hold anything: it is filled now, and can be found. */
    static inline void sbe_let_go(PyObject *tuple)
    {
        PyObject_GC_Track(tuple);
    }

    static inline void sbe_keep_tuple(sbe_kept_tuples *tuples, PyObject *tuple)
    {
    #if SBE_KNOWN_INTS
        PyObject *before = tuples->kept[tuples->turn];
        Py_INCREF(tuple);
        tuples->kept[tuples->turn] = tuple;
        Py_XDECREF(before);
    #else
        (void)tuples; (void)tuple;
    #endif
    }

    static inline int sbe_put(PyObject *tuple, Py_ssize_t i, PyObject *value)
    {
        PyObject *before = PyTuple_GET_ITEM(tuple, i);
        if (before != value) {
            Py_INCREF(value);
            PyTuple_SET_ITEM(tuple, i, value);
            Py_XDECREF(before);
        }
        return 0;
    }

    static inline int sbe_put_new(PyObject *tuple, Py_ssize_t i, PyObject *value)
    {
        PyObject *before = PyTuple_GET_ITEM(tuple, i);
        if (value == NULL) return -1;
        PyTuple_SET_ITEM(tuple, i, value);
        Py_XDECREF(before);
        return 0;
    }

    /* Ints from -5 to 256 are shared by everybody, and stay so. */
    static inline int sbe_put_int(PyObject *tuple, Py_ssize_t i, int64_t value)
    {
        PyObject *before = PyTuple_GET_ITEM(tuple, i);
        uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        if (before != NULL && Py_REFCNT(before) == 1 && size > 256 && PyLong_CheckExact(before)
                && sbe_change_int(before, size, value < 0)) return 0;
        return sbe_put_new(tuple, i, PyLong_FromLongLong(value));
    }

    static inline int sbe_put_uint(PyObject *tuple, Py_ssize_t i, uint64_t value)
    {
        PyObject *before = PyTuple_GET_ITEM(tuple, i);
        if (before != NULL && Py_REFCNT(before) == 1 && value > 256 && PyLong_CheckExact(before)
                && sbe_change_int(before, value, 0)) return 0;
        return sbe_put_new(tuple, i, PyLong_FromUnsignedLongLong(value));
    }

    static inline int sbe_put_float(PyObject *tuple, Py_ssize_t i, double value)
    {
        PyObject *before = PyTuple_GET_ITEM(tuple, i);
        if (before != NULL && Py_REFCNT(before) == 1 && PyFloat_CheckExact(before)) {
            ((PyFloatObject *)before)->ob_fval = value;
            return 0;
        }
        return sbe_put_new(tuple, i, PyFloat_FromDouble(value));
    }

    /* An int or a float by itself, handed out by an attribute. */
    static inline PyObject *sbe_keep_at(sbe_kept_tuples *tuples, PyObject *fresh)
    {
    #if SBE_KNOWN_INTS
        PyObject *before = tuples->kept[tuples->turn];
        if (fresh == NULL) return NULL;
        Py_INCREF(fresh);
        tuples->kept[tuples->turn] = fresh;
        Py_XDECREF(before);
    #else
        (void)tuples;
    #endif
        return fresh;
    }

    static inline PyObject *sbe_kept_int(sbe_kept_tuples *tuples, int64_t value)
    {
        uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        if (size <= 256) return PyLong_FromLongLong(value);
        PyObject *before = tuples->kept[tuples->turn ^= 1];
        if (before != NULL && Py_REFCNT(before) == 1 && sbe_change_int(before, size, value < 0)) {
            Py_INCREF(before);
            return before;
        }
        return sbe_keep_at(tuples, PyLong_FromLongLong(value));
    }

    static inline PyObject *sbe_kept_float(sbe_kept_tuples *tuples, double value)
    {
        PyObject *before = tuples->kept[tuples->turn ^= 1];
        if (before != NULL && Py_REFCNT(before) == 1) {
            ((PyFloatObject *)before)->ob_fval = value;
            Py_INCREF(before);
            return before;
        }
        return sbe_keep_at(tuples, PyFloat_FromDouble(value));
    }

    static inline void sbe_clear_tuples(sbe_kept_tuples *tuples)
    {
        Py_CLEAR(tuples->kept[0]);
        Py_CLEAR(tuples->kept[1]);
    }

    #define SBE_MOST_FREED 8
    typedef struct { PyObject *items[SBE_MOST_FREED]; int count; } sbe_freed_messages;

    /* An object of a class, none of whose own attributes are set. */
    static inline PyObject *sbe_reused_message(sbe_freed_messages *freed, PyTypeObject *type)
    {
        return freed->count ? PyObject_Init(freed->items[--freed->count], type)
                           : type->tp_alloc(type, 0);
    }

    static inline void sbe_keep_message(sbe_freed_messages *freed, void *object)
    {
    #ifndef Py_GIL_DISABLED
        if (freed->count < SBE_MOST_FREED) {
            freed->items[freed->count++] = (PyObject *)object;
            return;
        }
    #endif
        PyObject_Free(object);
    }
    #endif
    """
    ctypedef struct sbe_kept_tuples:
        pass
    ctypedef struct sbe_freed_messages:
        pass
    bint sbe_change_int(object number, uint64_t size, bint negative)
    tuple sbe_reused_tuple(sbe_kept_tuples* tuples, Py_ssize_t size)
    void sbe_let_go(tuple values)
    void sbe_keep_tuple(sbe_kept_tuples* tuples, tuple values)
    int sbe_put(tuple values, Py_ssize_t i, object value) except -1
    int sbe_put_int(tuple values, Py_ssize_t i, int64_t value) except -1
    int sbe_put_uint(tuple values, Py_ssize_t i, uint64_t value) except -1
    int sbe_put_float(tuple values, Py_ssize_t i, double value) except -1
    object sbe_kept_int(sbe_kept_tuples* tuples, int64_t value)
    object sbe_kept_float(sbe_kept_tuples* tuples, double value)
    void sbe_clear_tuples(sbe_kept_tuples* tuples)
    object sbe_reused_message(sbe_freed_messages* freed, PyTypeObject* type)
    void sbe_keep_message(sbe_freed_messages* freed, void* memory)
