"""A stand-in for the SMP server of an application on MCUboot: groups OS and image, as Zephyr documents them."""

import hashlib

import cbor2
from fleet_flash_stand_in import SECTOR
from fleet_mcuboot_stand_in import COPY_DONE, IMAGE_OK, PERM, REVERT, TEST
from smp import header as smp_header
from smp import packet
from smp.error import MGMT_ERR
from smp.image_management import IMG_MGMT_ERR, ImageStatesWriteRequest, ImageUploadWriteRequest
from smpclient.mcuboot import IMAGE_MAGIC, IMAGE_TLV

BUFFER = 2048
_OS, _IMAGE = smp_header.GroupId.OS_MANAGEMENT, smp_header.GroupId.IMAGE_MANAGEMENT


class _Refused(Exception):
    def __init__(self, code):
        self.code = code


class SmpStandIn:
    """Answers frames; ``reset`` is set when the board shall start anew after the answer."""

    def __init__(self, boot, name):
        self.boot, self.name, self.reset = boot, name, False
        self._upload = None  # (sha, length, offset): in RAM, as in Zephyr
        self._lines, self._decoder = bytearray(), None

    def feed(self, data):
        """Answers to what came in over the serial line."""
        self._lines += data
        answers = []
        while b"\n" in self._lines:
            line, _, rest = bytes(self._lines).partition(b"\n")
            self._lines = bytearray(rest)
            if frame := self._decode(line + b"\n"):
                answers += packet.encode(self._answer(frame), line_length=128)
        return b"".join(answers)

    def _decode(self, line):
        start = line.rfind(packet.START_DELIMITER)
        try:
            if start >= 0:
                self._decoder = packet.decode()
                next(self._decoder)
                self._decoder.send(line[start:])
            elif self._decoder is not None:
                self._decoder.send(line)
        except StopIteration as done:
            self._decoder = None
            return done.value
        except Exception:  # noise on the line is dropped, whatever the library says of it
            self._decoder = None
        return None

    def _answer(self, frame):
        head = smp_header.Header.loads(frame[: smp_header.Header.SIZE])
        try:
            content = self._handle(head, frame)
        except _Refused as refused:
            plain = isinstance(refused.code, MGMT_ERR)
            content = {"rc": int(refused.code)} if plain else {"err": {"group": 1, "rc": int(refused.code)}}
        body = cbor2.dumps(content, canonical=True)
        answer = smp_header.Header(
            op=smp_header.OP(head.op + 1), version=head.version, flags=smp_header.Flag(0), length=len(body),
            group_id=head.group_id, sequence=head.sequence, command_id=head.command_id,
        )  # fmt: skip
        return bytes(answer) + body

    def _handle(self, head, frame):
        command = smp_header.CommandId
        writes = head.op == smp_header.OP.WRITE
        if head.group_id == _OS and head.command_id == command.OSManagement.MCUMGR_PARAMETERS:
            return {"buf_size": BUFFER, "buf_count": 4}
        if head.group_id == _OS and head.command_id == command.OSManagement.OS_APPLICATION_INFO:
            return {"output": self.name}
        if head.group_id == _OS and head.command_id == command.OSManagement.RESET:
            self.reset = True
            return {}
        if head.group_id == _IMAGE and head.command_id == command.ImageManagement.STATE:
            if writes:
                self._set(ImageStatesWriteRequest.loads(frame))
            return {"images": self.images()}
        if head.group_id == _IMAGE and head.command_id == command.ImageManagement.UPLOAD and writes:
            return self._store(ImageUploadWriteRequest.loads(frame))
        raise _Refused(MGMT_ERR.ENOTSUP)

    def images(self):
        """The states of both slots."""
        kind, found = self.boot.swap_type(), []
        flash = self.boot.flash
        for number, slot in enumerate((flash.primary, flash.secondary)):
            info = self.boot.info(slot)
            if info is None:
                continue
            version = info.header.ver
            found.append({
                "slot": number, "image": 0, "hash": info.get_tlv(IMAGE_TLV.SHA256).value, "bootable": True,
                "version": f"{version.major}.{version.minor}.{version.revision}",
                "active": number == 0, "confirmed": (number == 1) if kind == REVERT else number == 0,
                "pending": number == 1 and kind in (TEST, PERM), "permanent": number == 1 and kind == PERM,
            })  # fmt: skip
        return found

    def _set(self, request):
        active = next((each for each in self.images() if each["slot"] == 0), None)
        wanted = request.hash or (active["hash"] if active and request.confirm else None)
        if active and active["hash"] == wanted:
            if not request.confirm:
                raise _Refused(IMG_MGMT_ERR.IMAGE_SETTING_TEST_TO_ACTIVE_DENIED)
            if self.boot.flag(self.boot.flash.primary, COPY_DONE):
                self.boot.set_flag(self.boot.flash.primary, IMAGE_OK)
        elif any(each["hash"] == wanted and each["slot"] == 1 for each in self.images()):
            if self.boot.swap_type() == REVERT:
                raise _Refused(IMG_MGMT_ERR.IMAGE_ALREADY_PENDING)
            if not self.boot.set_pending(request.confirm):
                raise _Refused(IMG_MGMT_ERR.UNKNOWN)
        else:
            raise _Refused(IMG_MGMT_ERR.HASH_NOT_FOUND)

    def _store(self, request):
        flash = self.boot.flash
        if request.off == 0:
            offset = self._first(request)
        elif self._upload is None:
            raise _Refused(IMG_MGMT_ERR.INVALID_OFFSET)
        else:
            offset = None if request.off == self._upload[2] else self._upload[2]
        if offset is not None:
            return {"off": offset}
        sha, length, at = self._upload
        if at + len(request.data) > length:
            raise _Refused(IMG_MGMT_ERR.INVALID_IMAGE_DATA_OVERRUN)
        flash.write(flash.secondary.start + at, request.data)
        at += len(request.data)
        self._upload = sha, length, at
        if at < length:
            return {"off": at}
        self._upload = None
        matched = hashlib.sha256(flash.read(flash.secondary.start, length)).digest() == sha if sha else True
        return {"off": at, "match": matched}

    def _first(self, request):
        """Begin an upload; the offset to go on from where it is the broken one, else None."""
        flash = self.boot.flash
        if request.len is None or len(request.data) < 32:
            raise _Refused(IMG_MGMT_ERR.INVALID_LENGTH)
        if int.from_bytes(request.data[:4], "little") != IMAGE_MAGIC:
            raise _Refused(IMG_MGMT_ERR.INVALID_IMAGE_HEADER_MAGIC)
        if request.len > flash.slot - SECTOR:
            raise _Refused(IMG_MGMT_ERR.INVALID_IMAGE_TOO_LARGE)
        if self.boot.swap_type() in (TEST, PERM, REVERT):
            raise _Refused(IMG_MGMT_ERR.NO_FREE_SLOT)
        version = request.data[20], request.data[21], int.from_bytes(request.data[22:24], "little")
        if request.upgrade and version <= self.boot.version(flash.primary):
            raise _Refused(IMG_MGMT_ERR.CURRENT_VERSION_IS_NEWER)
        if request.sha and self._upload and self._upload[:2] == (request.sha, request.len):
            return self._upload[2]
        for at in range(flash.secondary.start, flash.secondary.stop, SECTOR):
            flash.erase(at)
        self._upload = request.sha, request.len, 0
        return None
