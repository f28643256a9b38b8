"""Composites as the encoder has them: a mapping of members, each written by its own slot."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from .slots cimport MISSING, Slot, as_dict, refuse

from ..errors import EncodeError
from .refusals import inside, unknown


cdef class CompositeSlot(Slot):
    """A composite: a mapping of its members, or a composite that was decoded."""

    cdef readonly tuple members_of_it
    cdef dict places
    cdef readonly Slot first    # by which the whole is null; None where it can't be
    cdef public list derived    # the names that its value can be given by: those of a decimal

    def __init__(self, facts, size, null, members, first):
        Slot.__init__(self, facts, size, null, null)
        self.members_of_it = members
        self.places = {each.name: i for i, each in enumerate(members)}
        self.first = first
        self.derived = []
        self.newest = max(self.since, max([each.newest for each in members], default=0))

    cdef int put(self, uint8_t* block, object value) except -1:
        return self.put_known(block, value, self.newest)

    cdef int put_older(self, uint8_t* block, object value, uint64_t version) except -1:
        cdef bytearray whole
        if self.since > version:
            return Slot.put_older(self, block, value, version)
        if value is not MISSING and value is not None:
            return self.put_known(block, value, version)
        whole = bytearray(self.offset + self.size)
        self.put_nothing(<uint8_t*><char*>whole, value)
        self.copy_known(block, <uint8_t*><char*>whole, version)
        return 0

    cdef str needed(self):
        instead = f", or a number as {' or '.join(self.derived)}" if self.derived else ""
        return f"a dict of its members is needed{instead}"

    cpdef uint64_t end_at(self, uint64_t version) except? 0:
        cdef Slot each
        end = max(
            [each.end_at(version) for each in self.members_of_it
             if each.size and each.since <= version],
            default=0,
        )
        return self.offset + end if end else 0

    cdef int copy_known(self, uint8_t* to, const uint8_t* whole, uint64_t version) except -1:
        """Copies the members that a sender of ``version`` has."""
        cdef Slot each
        to += self.offset
        whole += self.offset
        for each in self.members_of_it:
            if each.since > version:
                continue
            if each.newest > version:
                (<CompositeSlot>each).copy_known(to, whole, version)
            else:
                memcpy(to + each.offset, whole + each.offset, each.size)
        return 0

    cdef int put_known(self, uint8_t* block, object value, uint64_t version) except -1:
        """Writes the members that a sender of ``version`` has; the others are not given."""
        cdef Slot member
        cdef uint8_t* own = block + self.offset
        if not isinstance(value, dict):
            value = as_dict(value, self.name, self.needed())
        if self.first is not None and value.get(self.first.name) is None:
            refuse(self.name, value, f"without its {self.first.name} all of it is null; give None")
        try:
            for name in value:
                if name not in self.places:
                    raise unknown(name, self.places, value[name])
            for member in self.members_of_it:
                part = value.get(member.name, MISSING)
                if member.newest > version:
                    member.put_older(own, part, version)
                elif part is MISSING or part is None:
                    member.put_nothing(own, part)
                else:
                    member.put(own, part)
        except EncodeError as error:
            raise inside(error, f"{self.name}.")
        return 0
