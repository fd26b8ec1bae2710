// SPDX-License-Identifier: LGPL-2.1-or-later
// Cockpit's administrative access, asked for from here. It is what the button in Cockpit's own
// bar does: the bridge of this session starts a second one as root, and passes on its questions.
import {
    Button, Form, FormGroup, Modal, ModalBody, ModalFooter, ModalHeader, TextInput,
} from "@patternfly/react-core";
import { type FormEvent, useEffect, useRef, useState } from "react";

import { _, cockpit, type DBusClient } from "../base/cockpit";
import { Notice } from "../base/Notice";
import { sentence } from "../base/words";
import { list, text } from "./reading";

const PATH = "/superuser";
const INTERFACE = "cockpit.Superuser";

interface Question {
    message: string;
    prompt: string;
    isShown: boolean;
    error: string;
}

export function AdminAccessButton({ isLink = false }: { isLink?: boolean }) {
    const [isOpen, setOpen] = useState(false);
    return (
        <>
            <Button variant={isLink ? "link" : "primary"} isInline={isLink} onClick={() => setOpen(true)}>
                {_("Turn on administrative access")}
            </Button>
            {isOpen && <AdminAccessDialog onClose={() => setOpen(false)} />}
        </>
    );
}

function AdminAccessDialog({ onClose }: { onClose: () => void }) {
    const [question, setQuestion] = useState<Question | null>(null);
    const [reply, setReply] = useState("");
    const [error, setError] = useState("");
    const client = useRef<DBusClient | null>(null);
    const done = useRef(onClose);
    done.current = onClose;

    useEffect(() => {
        const bus = cockpit.dbus(null, { bus: "internal" });
        client.current = bus;
        bus.subscribe({ path: PATH, interface: INTERFACE, member: "Prompt" }, (_path, _iface, _member, args) => {
            const [message, prompt, , isShown, problem] = args;
            setReply("");
            setQuestion({ message: text(message), prompt: text(prompt), isShown: isShown === true, error: text(problem) });
        });
        const start = async (): Promise<void> => {
            try {
                await bus.call(PATH, INTERFACE, "Start", [await way(bus)]);
                done.current();
            } catch (failure) {
                setQuestion(null);
                setError(sentence(failure));
            }
        };
        void start();
        return () => bus.close();
    }, []);

    const answer = (event: FormEvent): void => {
        event.preventDefault();
        setQuestion(null);
        void client.current?.call(PATH, INTERFACE, "Answer", [reply]);
    };
    const cancel = (): void => {
        void client.current?.call(PATH, INTERFACE, "Stop", []).catch(() => undefined);
        onClose();
    };
    return (
        <Modal variant="small" isOpen onClose={cancel} aria-labelledby="nestd-admin-title">
            <ModalHeader title={_("Administrative access")} labelId="nestd-admin-title" />
            <ModalBody>
                {error && <Notice variant="danger" title={error} />}
                {question?.error && <Notice variant="warning" title={question.error} />}
                {question
                    ? <Form id="nestd-admin" onSubmit={answer}>
                        {question.message && <p>{question.message}</p>}
                        <FormGroup label={question.prompt || _("Password")} fieldId="nestd-admin-reply">
                            <TextInput id="nestd-admin-reply" type={question.isShown ? "text" : "password"} value={reply}
                                       autoFocus onChange={(_event, value) => setReply(value)} />
                        </FormGroup>
                    </Form>
                    : !error && <p>{_("Asking for administrative access ...")}</p>}
            </ModalBody>
            <ModalFooter>
                {question && <Button type="submit" form="nestd-admin">{_("Authenticate")}</Button>}
                <Button variant="link" onClick={cancel}>{error ? _("Close") : _("Cancel")}</Button>
            </ModalFooter>
        </Modal>
    );
}

/** How this host gives such access: its first way (sudo, polkit), as Cockpit's own dialog takes it. */
async function way(bus: DBusClient): Promise<string> {
    const [found] = await bus.call(PATH, "org.freedesktop.DBus.Properties", "Get", [INTERFACE, "Bridges"], { type: "ss" });
    const [first] = list((found as { v?: unknown }).v);
    if (first === undefined)
        throw new Error(_("This session of Cockpit has no way to administrative access."));
    return text(first); // "any", as it is at a login, is not known to the bridge in C
}
